/* signal.c - signal calls about the caller itself: actions, mask, pending set, waiting, alternate stack.
 *
 * All of it is virtual (see runtime/sig.c); the kernel is asked only when an action changes.
 */
#include "shim.h"
#include "sigframe.h"
#include "sigimpl.h"
#include <linux/kcmp.h>

#define AUTODISARM (1u << 31)
#define MIN_ALTSTACK 2048

typedef bool set_fn(int sig, const struct ksigaction *sa, struct ksigaction *old);

static long action(const struct regs *r, set_fn *set)
{
	int sig = (int)A1(r);
	struct ksigaction sa, old;
	if (A4(r) != 8)
		return -EINVAL;
	if (A2(r) && user_read(&sa, A2(r), sizeof(sa)))
		return -EFAULT;
	if (!set(sig, A2(r) ? &sa : NULL, &old))
		return -EINVAL;
	return A3(r) && user_write(A3(r), &old, sizeof(old)) ? -EFAULT : 0;
}

long shim_rt_sigaction(struct regs *r)
{
	return action(r, sig_action_set);
}

/* Where no M runs nobody puts signals off while siglock is held. */
static bool set_without_m(int sig, const struct ksigaction *sa, struct ksigaction *old)
{
	uint64_t all = ~0ULL, mask;
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8);
	bool ok = sig_action_set(sig, sa, old);
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
	return ok;
}

static _Atomic uint32_t nsharers;

void sigaction_is_shared(void)
{
	atomic_fetch_add(&nsharers, 1);
}

/* The kernel knows who shares a table; of a sharer's own child we have a copy of the memory only. */
static bool shares_our_table(void)
{
	return unlikely(load_rlx(&nsharers)) && sys5(__NR_kcmp, os_gettid(), sig_pid, KCMP_SIGHAND, 0, 0) == 0;
}

/* A child that shares our memory has its own table in the kernel and must not touch ours, unless it was made with
 * CLONE_SIGHAND: then what it sets replaces our handler in the kernel. */
long sigaction_by_foreign(struct regs *r)
{
	struct ksigaction old;
	if (shares_our_table())
		return action(r, set_without_m);
	long ret = shim_raw(r);
	if (ret || !A3(r) || user_read(&old, A3(r), sizeof(old)))
		return ret;
	sig_foreign_action((int)A1(r), &old, A2(r) != 0);
	return user_write(A3(r), &old, sizeof(old)) ? -EFAULT : 0;
}

/* glibc itself blocks everything for a moment, with all 64 bits set, which sigfillset never gives: such a mask does not
 * make signals wait for long, so their default actions may stay the kernel's. */
static void note_blocked(uint64_t set, uint64_t old)
{
	if (set == SIGALL)
		return;
	sig_note_blocked(set);
	if (set & ~old)
		sig_keep(set & ~old);
}

long shim_rt_sigprocmask(struct regs *r)
{
	struct g *g = getg();
	uint64_t set, old = load_rlx(&g->sig.mask);
	if (A4(r) != 8)
		return -EINVAL;
	if (A2(r)) {
		if (user_read(&set, A2(r), 8))
			return -EFAULT;
		switch ((int)A1(r)) {
		case SIG_BLOCK:
			sig_setmask(g, old | set);
			note_blocked(set, old);
			break;
		case SIG_UNBLOCK:
			sig_setmask(g, old & ~set);
			break;
		case SIG_SETMASK:
			sig_setmask(g, set);
			note_blocked(set, old);
			break;
		default:
			return -EINVAL;
		}
	}
	return A3(r) && user_write(A3(r), &old, 8) ? -EFAULT : 0;
}

long shim_rt_sigpending(struct regs *r)
{
	struct g *g = getg();
	if (A2(r) > 8)
		return -EINVAL;
	sig_drain();
	uint64_t set = sig_pending_set(g);
	if (sig_kept()) {
		uint64_t kernels, real = sig_realmask(getm());
		sys4(__NR_rt_sigprocmask, SIG_SETMASK, &real, 0, 8);
		sys2(__NR_rt_sigpending, &kernels, 8);
		set |= kernels;
	}
	set &= load_rlx(&g->sig.mask);
	return user_write(A1(r), &set, A2(r)) ? -EFAULT : 0;
}

/* The descriptor is the kernel's; so are from now on the signals that it reads, while nobody takes them. */
long shim_signalfd(struct regs *r)
{
	uint64_t set;
	if (A3(r) != 8)
		return -EINVAL;
	if (user_read(&set, A2(r), 8))
		return -EFAULT;
	long fd = shim_raw(r);
	if (fd < 0)
		return fd;
	atomic_fetch_add(&sched.nhandlers, 1);
	sig_note_blocked(set);
	sig_want(set);
	return fd;
}

/* --- waiting --- */

/* Lets the awaited signals through while it waits, so that senders wake this G as for any other. */
static bool wait_for(struct g *g, uint64_t set, int64_t deadline, struct ksiginfo *info, bool *interrupted)
{
	uint64_t mask = load_rlx(&g->sig.mask);
	bool got;
	atomic_store(&g->sig.unlifted, mask);
	atomic_store(&g->sig.waiting, set);
	atomic_fetch_add(&sched.nhandlers, 1);
	atomic_fetch_add(&sig_nwaiting, 1);
	sig_setmask(g, mask & ~set);
	for (;;) {
		bool woken = sig_park(g, deadline);
		got = sig_take_waited(g, set, info);
		*interrupted = woken && !got && sig_deliverable(g);
		if (got || *interrupted || !woken)
			break;
	}
	sig_setmask(g, mask);
	atomic_fetch_sub(&sched.nhandlers, 1);
	atomic_fetch_sub(&sig_nwaiting, 1);
	atomic_store(&g->sig.waiting, 0);
	atomic_store(&g->sig.unlifted, 0);
	sig_deliverable(g);
	return got;
}

long shim_rt_sigtimedwait(struct regs *r)
{
	struct g *g = getg();
	uint64_t set;
	int64_t ns = -1;
	struct ksiginfo info;
	bool interrupted = false;
	if (A4(r) != 8)
		return -EINVAL;
	if (user_read(&set, A1(r), 8))
		return -EFAULT;
	if (A3(r)) {
		int err = user_read_timespec(A3(r), &ns);
		if (err)
			return err;
	}
	set &= ~SIG_UNBLOCKABLE;
	sig_note_blocked(set);
	sig_drain();
	bool got = sig_take_waited(g, set, &info) || sig_take_kept(set, &info);
	if (got)
		sig_deliverable(g);
	else if (ns != 0)
		got = wait_for(g, set, ns < 0 ? 0 : deadline_after(ns), &info, &interrupted);
	if (!got)
		return interrupted ? -EINTR : -EAGAIN;
	if (A2(r) && user_write(A2(r), &info, sizeof(info)))
		return -EFAULT;
	return info.signo;
}

static long suspend(struct g *g)
{
	atomic_fetch_add(&sched.nhandlers, 1);
	sig_park(g, 0);
	atomic_fetch_sub(&sched.nhandlers, 1);
	return -ERESTARTNOHAND;
}

long shim_rt_sigsuspend(struct regs *r)
{
	struct g *g = getg();
	uint64_t set;
	if (A2(r) != 8)
		return -EINVAL;
	if (user_read(&set, A1(r), 8))
		return -EFAULT;
	sig_swap_mask(g, set);
	return suspend(g);
}

long shim_pause(struct regs *r)
{
	(void)r;
	return suspend(getg());
}

/* --- alternate stack --- */

static int set_altstack(struct g *g, const struct kstack *st, uintptr_t sp)
{
	uint32_t mode = (uint32_t)st->flags & ~AUTODISARM;
	if (on_altstack(g, sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		g->sig.alt_sp = g->sig.alt_size = 0;
	} else {
		if (st->size < MIN_ALTSTACK)
			return -ENOMEM;
		g->sig.alt_sp = st->sp;
		g->sig.alt_size = st->size;
	}
	g->sig.alt_flags = st->flags;
	return 0;
}

long shim_sigaltstack(struct regs *r)
{
	struct g *g = getg();
	uintptr_t sp = regs_sp(r);
	struct kstack st, old = { .sp = g->sig.alt_sp, .size = g->sig.alt_size };
	old.flags = (int32_t)((uint32_t)g->sig.alt_flags & AUTODISARM);
	old.flags |= !g->sig.alt_size ? SS_DISABLE : on_altstack(g, sp) ? SS_ONSTACK : 0;
	if (A1(r)) {
		if (user_read(&st, A1(r), sizeof(st)))
			return -EFAULT;
		int err = set_altstack(g, &st, sp);
		if (err)
			return err;
	}
	return A2(r) && user_write(A2(r), &old, sizeof(old)) ? -EFAULT : 0;
}
