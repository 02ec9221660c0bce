/* robust_exec.c - an exec ends all other threads, and the kernel releases the robust locks of those that it knows.
 *
 * It does not know the G's, so somebody else must, and only once the exec cannot fail any more. Then this memory belongs to
 * nobody in the process. So before an exec, if a G holds such a lock, a watcher is made: a process that shares the memory and
 * thereby keeps it. It waits until the kernel thread that execs lets go of the memory, which the kernel tells by
 * clearing a word (set_tid_address); all others have ended by then. It marks the locks, wakes who waits for them, and
 * ends. If the exec fails it is told so.
 *
 * The watcher is a child's child, so that the process does not see it; it has closed all descriptors before the exec, so that
 * none stays open for its sake, and blocks all signals but faults. A lock that another G takes after the look at the lists and
 * before the exec may be missed.
 */
#include "ending.h"
#include "futex.h"
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/sched.h>

#define STACK_SIZE 16384
#define WALL 0x40000000
#define FAULTS (1ULL << (SIGSEGV - 1) | 1ULL << (SIGBUS - 1)) /* a list may lead anywhere */
#define LOOK (100 * NSEC_PER_MSEC)
#define FUTEX_WAIT 0 /* not private: the kernel's own wake-ups are not */

enum { Waiting = 1, Failed = 2 }; /* 0: the memory is left */

struct childframe {
	uint64_t mask;
	struct m *gs;
	struct regs regs;
};

static struct m watcher_m = { .self = &watcher_m, .foreign = 1 };
static char stacks[2][STACK_SIZE] __attribute__((aligned(16)));
static _Atomic uint32_t busy, word, lives, watching;
static int watched_pid;

static void wait_while(_Atomic uint32_t *w, uint32_t v)
{
	int64_t ts[2] = { 0, LOOK };
	if (load_acq(w) == v)
		sys4(__NR_futex, w, FUTEX_WAIT, v, ts);
}

static long clone_onto(char *stack, unsigned long flags, void (*fn)(void), _Atomic uint32_t *tid)
{
	uintptr_t top = (uintptr_t)stack + STACK_SIZE - 8;
	struct childframe *f = (struct childframe *)(top - sizeof(*f));
	*f = (struct childframe){ .mask = ~FAULTS, .gs = &watcher_m, .regs = { .ret = (uintptr_t)fn } };
	return arch_clone_child(__NR_clone, (long)flags, (long)f, 0, (long)tid, 0);
}

static void watcher(void)
{
	sys3(__NR_close_range, 0, ~0U, 0);
	store_rel(&watching, 1);
	os_futex_wake_shared((uintptr_t)&watching, 1);
	while (load_acq(&word) == Waiting) {
		wait_while(&word, Waiting);
		if (sys2(__NR_kill, watched_pid, 0) == -ESRCH) /* it dumped core, which clears nothing */
			break;
	}
	if (load_acq(&word) != Failed) {
		ending_by_exec();
		robust_exit_all();
	}
	sys1(__NR_exit_group, 0);
}

static void between(void)
{
	if (clone_onto(stacks[1], CLONE_VM | CLONE_CHILD_CLEARTID, watcher, &lives) < 0)
		store_rel(&lives, 0);
	sys1(__NR_exit_group, 0);
}

static bool anything_held(void)
{
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		enum gstatus s = g ? load_acq(&g->status) : Gdead;
		if (s != Gdead && s != Gidle && robust_holds(g))
			return true;
	}
	return false;
}

bool robust_exec_begin(void)
{
	uint64_t all = ~(1ULL << (SIGSYS - 1)), old;
	if (likely(!anything_held()) || atomic_exchange(&busy, 1))
		return false;
	watched_pid = os_getpid();
	store_rel(&word, Waiting);
	store_rel(&watching, 0);
	store_rel(&lives, 1);
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &all, &old, 8);
	long pid = clone_onto(stacks[0], CLONE_VM | CLONE_VFORK, between, NULL);
	if (pid > 0)
		while (sys4(__NR_wait4, pid, 0, WALL, 0) == -EINTR)
			;
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
	if (pid <= 0 || !load_acq(&lives)) {
		store_rel(&busy, 0);
		return false;
	}
	while (!load_acq(&watching) && load_acq(&lives))
		wait_while(&watching, 0);
	sys1(__NR_set_tid_address, &word);
	return true;
}

void robust_exec_failed(void)
{
	sys1(__NR_set_tid_address, 0); /* nobody waits for the end of an M */
	store_rel(&word, Failed);
	os_futex_wake_shared((uintptr_t)&word, 1);
	while (load_acq(&lives))
		wait_while(&lives, 1);
	store_rel(&busy, 0);
}

void robust_exec_after_fork(void)
{
	store_rlx(&busy, 0);
}
