/* gs.h - programs that use the GS register themselves; see gs.c.
 */
#ifndef PRELOOM_GS_H
#define PRELOOM_GS_H

#include "base.h"

struct m;

/* The program uses GS, from now on. False: the processor has no instruction for it, or there is no memory. */
bool gs_share(void);
/* M's come and go. */
void gs_add_m(struct m *m);
void gs_remove_m(struct m *m);
void gs_after_fork(struct m *m);

/* The M of this kernel thread, whatever GS is; NULL if it has none. Where getm() is for preloom's code, this is for what runs
 * as a part of the program. */
struct m *gs_m(void);

/* With arch_gs_shared: keeps the program's GS and loads ours. False: no M's kernel thread. */
bool gs_enter(void);
/* The same in a signal handler, which tells gs_leave_handler what was there, and whether it returns into the program. */
uintptr_t gs_enter_handler(void);
void gs_leave_handler(uintptr_t before, bool to_program);
#endif
