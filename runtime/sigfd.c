/* sigfd.c - signals that stay in the kernel because every G blocks them and a signalfd may want them.
 *
 * A signalfd reads what is pending in the kernel, and its readiness is the kernel's business, so such a signal must not
 * come to our handler. It is `kept`: every M really blocks it. That is right as long as all G's block it virtually; the
 * first G that does not (also by awaiting it with sigtimedwait) gives it up, and what the kernel has pending comes to
 * the handler of that G's M.
 *
 * Which signals? Those of every signalfd that is made while we are active, and those that the main thread blocked at
 * activation, since it may have made a signalfd before. M's take the mask over when they next return from a handler;
 * all are kicked for that. A signal that reaches an M before is sent back to the process.
 */
#include "sigimpl.h"

static _Atomic uint64_t wanted; /* by a signalfd, perhaps */
static _Atomic uint64_t kept;

uint64_t sig_realmask(void)
{
	return load_acq(&kept);
}

static bool all_block(uint64_t bit)
{
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		enum gstatus s = g ? load_acq(&g->status) : Gdead;
		if (s != Gdead && !g->sig.exiting && !(atomic_load(&g->sig.mask) & bit))
			return false;
	}
	return true;
}

void sig_keep(uint64_t set)
{
	uint64_t new = 0;
	set &= load_rlx(&wanted) & ~load_rlx(&kept);
	while (set) {
		uint64_t bit = set & -set;
		set ^= bit;
		/* seq_cst: pairs with the mask change and the look at `kept` in sig_setmask */
		atomic_fetch_or(&kept, bit);
		if (all_block(bit))
			new |= bit;
		else
			atomic_fetch_and(&kept, ~bit);
	}
	if (!new)
		return;
	sys4(__NR_rt_sigprocmask, SIG_BLOCK, &new, 0, 8);
	struct m *self = getm();
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (m != self)
			sig_kick(m);
	unlock(&sched.lock);
}

/* The calling G no longer blocks these. */
void sig_unkeep(uint64_t set)
{
	set &= load_rlx(&kept);
	if (!set)
		return;
	atomic_fetch_and(&kept, ~set);
	sys4(__NR_rt_sigprocmask, SIG_UNBLOCK, &set, 0, 8);
}

/* What is pending at the calling G or the process already, for the kernel to keep. */
static void move_pending(struct g *g, uint64_t set)
{
	struct ksiginfo info;
	while (sig_take_waited(g, set, &info))
		sig_give_back(&info);
}

void sig_want(uint64_t set)
{
	set &= ~(SIG_UNBLOCKABLE | SIG_SYNC | sigbit(preempt_signal));
	atomic_fetch_or(&wanted, set);
	sig_keep(set);
	move_pending(getg(), set & load_rlx(&kept));
}

/* To the process, for the signalfd or another M. Only the kernel's main thread may claim that somebody else sent it. */
void sig_give_back(const struct ksiginfo *info)
{
	if (sys3(__NR_rt_sigqueueinfo, sig_pid, info->signo, info) < 0)
		sys2(__NR_kill, sig_pid, info->signo);
}

static uint64_t kept_before;

void sig_keep_for_exec(uint64_t mask)
{
	mask &= ~(SIG_UNBLOCKABLE | SIG_SYNC | sigbit(preempt_signal) | sigbit(SIG_CANCEL));
	kept_before = atomic_fetch_or(&kept, mask);
}

uint64_t sig_kept_after_exec(void)
{
	atomic_fetch_and(&kept, kept_before);
	return load_rlx(&kept);
}

/* At activation: nothing needs to change, the only thread blocks them already. */
void sig_keep_initial(uint64_t set)
{
	set &= ~(SIG_UNBLOCKABLE | SIG_SYNC | sigbit(preempt_signal));
	store_rlx(&wanted, set);
	store_rlx(&kept, set);
}
