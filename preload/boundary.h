/* boundary.h - where instructions begin in a function.
 */
#ifndef PRELOOM_BOUNDARY_H
#define PRELOOM_BOUNDARY_H

#include "ehframe.h"

/* Forgets what was decoded: text may have changed since. */
void boundary_reset(void);

/* Does an instruction begin at addr? Yes, too, if that cannot be known. */
bool boundary_is(const struct object *o, uintptr_t addr);

/* The addresses of up to max instructions before the one at addr, newest first, and how many; UINT_MAX: none begins at
 * addr. */
unsigned boundary_before(const struct bounds *fn, uintptr_t addr, uintptr_t *last, unsigned max);

#endif
