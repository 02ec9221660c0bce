/* dispatch.c - every served system call comes through here.
 *
 * entry stub → shim_dispatch → shim → runtime. While a shim runs, inshim says that preloom's code is on this stack: a
 * signal handler then only leaves a note. On the way back arch_leave looks at the notes (signals to deliver, the P to give
 * away), and calls shim_leave if there are any.
 */
#include "../runtime/gs.h"
#include "../runtime/tracebuf.h"
#include "shim.h"
#include <asm/prctl.h>

#define SYSCALL(nr, fn) [nr] = fn,
const shim_fn shim_table[NSYSCALLS] = {
#include "table.h"
};
#undef SYSCALL

#define SYSCALL(nr, fn) [nr] = 1,
uint8_t shim_served[NSYSCALLS] = {
#include "table.h"
};
#undef SYSCALL

long shim_raw(const struct regs *r)
{
	return sys6((long)r->rax, (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r));
}

/* The kernel's answer, except that a thread it makes of a foreign thread is a kernel thread too. */
long shim_foreign(struct regs *r)
{
	switch (r->rax) {
	case __NR_clone:
	case __NR_clone3:
	case __NR_vfork:
		return clone_by_foreign(r);
	case __NR_rt_sigaction:
		return sigaction_by_foreign(r);
	case __NR_arch_prctl: /* arch_leave looks for an M there */
		return A1(r) == ARCH_SET_GS ? -EPERM : shim_raw(r);
	default:
		return shim_raw(r);
	}
}

static void chaos(struct g *g)
{
	uint32_t x = m_fastrand(getm());
	if (x % 8 == 0)
		store_rlx(&g->preempt, 1);
}

static bool is_restart_code(long ret)
{
	return ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK;
}

static long call(struct g *g, struct regs *r)
{
	long ret = shim_table[r->rax](r);
	if (unlikely(rt_opt.chaos))
		chaos(g);
	return ret;
}

/* What was put off while preloom's code ran: giving the P away, signals. Does not return if a handler must run. */
long shim_leave(struct regs *r, long ret)
{
	struct g *g = getg();
	for (;;) {
		if (load_acq(&g->preempt)) {
			store_rlx(&g->preempt, 0);
			if (tracing())
				trace_g(TracePreempt, g, 0, 0);
			gosched();
		}
		if (load_acq(&g->interrupt) || g->sig.saved_set)
			ret = sig_deliver_exit(r, ret);
		if (load_acq(&g->interrupt) | load_acq(&g->preempt))
			continue;
		/* A restart code that is left over: no handler ran, so the call goes on as if nothing had been. */
		if (!is_restart_code(ret))
			return ret;
		g->resumed = g->deadline; /* what is left of a timeout, not all of it */
		ret = call(g, r);
		g->resumed = 0;
	}
}

static __attribute__((noinline)) long leave_early(struct regs *r, long ret)
{
	struct g *g = getg();
	if (rt_opt.chaos)
		chaos(g);
	return g->sig.saved_set || is_restart_code(ret) ? shim_leave(r, ret) : ret;
}

long shim_dispatch(struct regs *r, void *xstate)
{
	if (unlikely(arch_gs_shared) && !gs_enter())
		return shim_foreign(r);
	struct m *m = getm();
	if (unlikely(!m || m->foreign))
		return shim_foreign(r);
	struct g *g = m->curg;
	store_rlx(&g->inshim, 1);
	g->regs = r;
	g->xstate = xstate;
	g->deadline = 0;
	long ret = shim_table[r->rax](r);
	if (unlikely(is_restart_code(ret) || g->sig.saved_set || rt_opt.chaos))
		return leave_early(r, ret);
	return ret; /* to arch_leave, which looks at the notes once more and ends the shim */
}

/* --- the general forms --- */

typedef long blocking_fn(struct g *g, long nr, const long args[6]);

static long block(const struct regs *r, blocking_fn *call, long interrupted)
{
	const long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r) };
	long ret = call(getg(), (long)r->rax, a);
	return ret == -EINTR ? interrupted : ret;
}

long shim_may_block(struct regs *r)
{
	return block(r, blocking_syscall, -ERESTARTSYS);
}

long shim_may_block_nohand(struct regs *r)
{
	return block(r, blocking_syscall, -ERESTARTNOHAND);
}

long shim_blocks_long(struct regs *r)
{
	return block(r, blocking_syscall_long, -ERESTARTSYS);
}

long shim_blocks_long_nohand(struct regs *r)
{
	return block(r, blocking_syscall_long, -ERESTARTNOHAND);
}

#define SYNC_IS_LONG (50 * NSEC_PER_USEC)
#define SYNC_TRY_ANEW 32

/* fsync and its kin take milliseconds on a disk and nothing on a file system in memory. Where the last one was long the next
 * gives the P away at once: sysmon, which would take it, may be late itself on a busy machine, and a database has
 * its other threads wait for just this. Waiting for a P counts as the call's time, so now and then one is tried anew. */
long shim_sync(struct regs *r)
{
	static _Atomic uint32_t nlong; /* in a row; 0: the last was short */
	int64_t begin = os_nanotime();
	uint32_t n = load_rlx(&nlong);
	long ret = n % SYNC_TRY_ANEW ? shim_blocks_long(r) : shim_may_block(r);
	store_rlx(&nlong, os_nanotime() - begin > SYNC_IS_LONG ? n + 1 : 0);
	return ret == -ERESTARTSYS ? -ERESTARTNOINTR : ret; /* no signal ends it natively */
}

/* --- program memory --- */

int user_read_timespec(uintptr_t src, int64_t *ns)
{
	struct ktimespec ts;
	if (user_read(&ts, src, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= NSEC_PER_SEC)
		return -EINVAL;
	*ns = ts.sec >= INT64_MAX / NSEC_PER_SEC ? INT64_MAX : ts.sec * NSEC_PER_SEC + ts.nsec;
	return 0;
}

int64_t deadline_after(int64_t ns)
{
	struct g *g = getg();
	int64_t now, deadline = g->resumed;
	if (unlikely(deadline)) {
		g->resumed = 0;
		return g->deadline = deadline;
	}
	now = os_nanotime();
	return g->deadline = ns > INT64_MAX - now ? INT64_MAX : now + ns;
}
