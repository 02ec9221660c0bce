/* crash.c - what is said when the process ends by a fatal signal or a deadlock, and in which words: Go's.
 *
 * The signal itself is not touched: when the report is done, the process dies of it as it would have without us, with its
 * status and core. The stacks come from the helper (helper.c); if that cannot be run, a line per G and one that says why.
 * Only one report is made; a thread that crashes meanwhile waits for its end, and then takes its own default action.
 */
#include "crash.h"
#include "helper.h"
#include "runtime.h"
#include "sigframe.h"
#include "sigimpl.h"

#define WAIT_STEP (10 * NSEC_PER_MSEC)
#define NEAR_BELOW (1UL << 20) /* a function's frame, touched at its far end first */
#define NEAR_ABOVE (64UL << 10)
#define GUARD_MOST (128UL << 10)

enum { NotYet, GoingOn, Done };
static _Atomic uint32_t state;
static struct m *_Atomic reporter; /* while it is going on */

static const char *signal_text(int sig)
{
	static const char *const text[] = {
		[SIGQUIT] = "SIGQUIT: quit",
		[SIGILL] = "SIGILL: illegal instruction",
		[SIGABRT] = "SIGABRT: abort",
		[SIGBUS] = "SIGBUS: bus error",
		[SIGFPE] = "SIGFPE: floating-point exception",
		[SIGSEGV] = "SIGSEGV: segmentation violation",
		[SIGSYS] = "SIGSYS: bad system call",
	};
	return sig > 0 && sig < (int)nelem(text) && text[sig] ? text[sig] : "signal";
}

/* The M that reports was ended by the kernel while it did, see lost.c; the caller does so instead. */
static bool takes_over(void)
{
	struct m *m = load_acq(&reporter);
	return m && m->procid && !load_rlx(&m->lives) && atomic_compare_exchange_strong(&reporter, &m, getm());
}

/* False: another thread's report is over, and there is nothing to add. */
static bool first_report(void)
{
	uint32_t none = NotYet;
	if (atomic_compare_exchange_strong(&state, &none, GoingOn)) {
		store_rel(&reporter, getm());
		return true;
	}
	while (load_acq(&state) == GoingOn) {
		if (takes_over())
			return true;
		os_usleep(WAIT_STEP);
	}
	return false;
}

static void without_helper(const struct helper_request *r, int result)
{
	dump_all(rt_opt.logfd, r->level == TracebackSingle ? r->goid : 0);
	if (result == HELPER_NOT_FOUND)
		rt_printf(rt_opt.logfd, "preloom: no stacks: preloom-inspect cannot be executed here (not found beside the"
					" library; a chroot hides it)\n");
	else if (result < 0)
		rt_printf(rt_opt.logfd, "preloom: no stacks: preloom-inspect cannot be started (error %d)\n", -result);
	else
		rt_printf(rt_opt.logfd, "preloom: no stacks: preloom-inspect could not look at this process (status %d)\n",
			  result);
}

static void stacks(const struct helper_request *r)
{
	if (r->level == TracebackNone)
		return;
	helper_wait_idle();
	int pid = helper_start(r);
	int result = pid < 0 ? pid : helper_result(pid, true);
	if (result != 0)
		without_helper(r, result);
}

/* The stack's end lies at the fault, and the stack pointer near it. The main stack's end is not known: then the second must
 * do, as nothing else is mapped or used there. */
static bool is_overflow(const struct g *g, int sig, uintptr_t addr, uintptr_t sp)
{
	if ((sig != SIGSEGV && sig != SIGBUS) || !g || addr < sp - NEAR_BELOW || addr >= sp + NEAR_ABOVE)
		return false;
	return g == main_g || (g->stack_lo && addr >= g->stack_lo - NEAR_BELOW && addr < g->stack_lo + GUARD_MOST);
}

static unsigned long stack_limit(const struct g *g)
{
	uint64_t lim[2] = { 0, 0 };
	if (g->stack_hi)
		return g->stack_hi - g->stack_lo;
	sys4(__NR_prlimit64, 0, 3, 0, lim); /* RLIMIT_STACK */
	return lim[0];
}

void crash_fault(int sig, const struct ksiginfo *info, const struct kuc *uc, bool in_runtime)
{
	struct g *g = getm()->curg;
	if (!first_report())
		return;
	bool overflow = is_overflow(g, sig, info->addr, uc->sp);
	if (overflow)
		rt_printf(rt_opt.logfd, "runtime: goroutine stack exceeds %lu-byte limit\n", stack_limit(g));
	rt_printf(rt_opt.logfd, "fatal error: %s\n[signal %s code=0x%x addr=%p pc=%p]\n\n",
		  overflow ? "stack overflow" :
		  in_runtime ? "unexpected signal during runtime execution" : "unexpected signal",
		  signal_text(sig), (unsigned)info->code, (void *)info->addr, (void *)uc->ip);
	struct helper_request r = { .event = "fault", .goid = g ? g->goid : 0, .context = (uintptr_t)uc, .sig = sig,
				    .code = info->code, .addr = info->addr, .level = rt_opt.traceback };
	if (in_runtime && r.level)
		r.level = TracebackSystem;
	stacks(&r);
	store_rel(&state, Done);
}

void crash_signal(int sig, const struct ksiginfo *info)
{
	struct m *m = getm();
	struct g *g = m->curg;
	/* abort() and raise(): it is about the caller. One that came from elsewhere is about all. */
	bool own = info->code == CODE_TKILL && info->pid == os_getpid() && g;
	if (!(CRASH_SIGNALS & sigbit(sig)) || !first_report())
		return;
	rt_printf(rt_opt.logfd, "%s\n\n", signal_text(sig));
	struct helper_request r = { .event = "signal", .goid = own ? g->goid : 0, .sig = sig, .code = info->code,
				    .level = rt_opt.traceback };
	if (!own && r.level == TracebackSingle)
		r.level = TracebackAll;
	stacks(&r);
	store_rel(&state, Done);
}

void crash_deadlock(void)
{
	struct helper_request r = { .event = "deadlock", .level = rt_opt.traceback };
	if (!first_report())
		return;
	rt_printf(rt_opt.logfd, "fatal error: all goroutines are asleep - deadlock!\n\n");
	if (r.level == TracebackSingle)
		r.level = TracebackAll;
	stacks(&r);
	store_rel(&state, Done);
}

void crash_throw(void)
{
	struct m *m = getm();
	struct helper_request r = { .event = "throw", .goid = m && m->curg ? m->curg->goid : 0, .level = TracebackSystem };
	if (first_report())
		stacks(&r);
}

void crash_after_fork(void)
{
	store_rlx(&state, NotYet);
	store_rlx(&reporter, NULL);
	helper_after_fork();
}
