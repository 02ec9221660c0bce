/* crash.h - reports at the end of the process: fatal signals, deadlock. See crash.c.
 */
#ifndef PRELOOM_CRASH_H
#define PRELOOM_CRASH_H

#include "base.h"

struct ksiginfo;
struct kuc;

/* GOTRACEBACK, with Go's meaning. */
enum traceback { TracebackNone, TracebackSingle, TracebackAll, TracebackSystem, TracebackCrash };

#define CRASH_SIGNALS                                                                                       \
	(sigbit(SIGQUIT) | sigbit(SIGILL) | sigbit(SIGABRT) | sigbit(SIGBUS) | sigbit(SIGFPE) | sigbit(SIGSEGV) | \
	 sigbit(SIGSYS))

/* A fault without a handler, before the process dies of it: uc is where it happened. */
void crash_fault(int sig, const struct ksiginfo *info, const struct kuc *uc, bool in_runtime);
/* The default action of one of CRASH_SIGNALS is about to be taken. */
void crash_signal(int sig, const struct ksiginfo *info);
/* All G's wait for ever. */
void crash_deadlock(void);
/* A broken invariant of the runtime, which was named already. */
void crash_throw(void);
void crash_after_fork(void);

#endif
