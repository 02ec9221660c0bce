/* functions.h - where functions begin, for code that has no symbols.
 */
#ifndef PRELOOM_FUNCTIONS_H
#define PRELOOM_FUNCTIONS_H

#include "target.h"

struct functions;
struct functions *functions_open(const struct target *t); /* NULL: out of memory */
void functions_close(struct functions *f);
/* By the unwind information; 0: it does not say. */
uintptr_t function_start(struct functions *f, uintptr_t pc);

#endif
