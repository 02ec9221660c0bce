/* stop.h - holds a process still for a moment, and tells the registers of its kernel threads.
 */
#ifndef PRELOOM_STOP_H
#define PRELOOM_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct stopped {
	pid_t tid;
	bool still; /* regs are valid */
	int signal; /* on its way to the thread when it stopped; passed on */
	struct user_regs_struct regs;
};

struct stop {
	struct stopped *t;
	size_t n;
	const char *why; /* not NULL: nothing could be stopped, and this is why */
};

/* Stops every kernel thread of the process, calls look, and lets them go on. look is called in any case, on a thread of its
 * own; it should do no more than copy. Returns for how many ns, from the first stop to the last release. */
int64_t stop_run(pid_t pid, void (*look)(const struct stop *s, void *arg), void *arg);
const struct stopped *stop_thread(const struct stop *s, pid_t tid);

#endif
