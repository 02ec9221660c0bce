/* helper.h - has the `preloom` command look at this very process: see helper.c.
 */
#ifndef PRELOOM_HELPER_H
#define PRELOOM_HELPER_H

#include "base.h"

/* What it shall report on; see cmd_dump in preload/inspect/dump.c. */
struct helper_request {
	const char *event; /* "signal", "fault", "deadlock", "partial", … */
	uint64_t goid;	   /* the G that it is about, 0: none */
	uintptr_t context; /* struct kuc: where that G was interrupted, 0: where it is now */
	int sig, code;
	uintptr_t addr;
	int level; /* enum traceback */
};

/* At activation. The folder of libpreloom.so; the string stays. */
void helper_init(const char *folder);
/* Starts it; its kernel id, or -errno. One at a time: -EBUSY. */
int helper_start(const struct helper_request *r);
/* Waits for the end of one that is at work for somebody else. */
void helper_wait_idle(void);
/* Its end: exit status, 128 + signal, or -errno. With wait = false: -EAGAIN while it runs. */
int helper_result(int pid, bool wait);
/* Runs any command on this process, its output to `out`, and waits for it; words: up to eight, then NULL. As helper_result. */
int helper_run(const char *const *words, int out);
void helper_after_fork(void);

#define HELPER_NOT_FOUND 127 /* exit status: no such program, or it cannot be executed here */

#endif
