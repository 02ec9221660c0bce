/* loadedcode.h - what code a process has loaded, as its own table says (runtime/objtab.h).
 */
#ifndef PRELOOM_LOADEDCODE_H
#define PRELOOM_LOADEDCODE_H

#include "../../runtime/unwind.h"
#include "target.h"

/* The table's version, as long as that is so there is nothing new; 0: there is no table yet. */
uint32_t loadedcode_version(const struct target *t);
/* A copy, sorted, to be freed; NULL: there is none. */
struct unwind_object *loadedcode_read(const struct target *t, uint32_t *n, uint32_t *version);

#endif
