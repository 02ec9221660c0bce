/* sigproc.c - the signal layer over the lives of the process, its M's and its G's: activation, birth, exit, fork, exec.
 *
 * At activation the real mask, alternate stack and handlers of the only thread become the main G's; from then on every
 * M runs with an empty mask. exec turns it round: what is virtual must be real for the new program, including the
 * signals that are pending because the calling G blocks them.
 */
#include "sigframe.h"
#include "sigimpl.h"

#define SIGSTACK_SIZE (64u << 10)
#define GUARD 4096u
#define PROT_NONE 0

static void real_mask(int how, uint64_t set, uint64_t *old)
{
	sys4(__NR_rt_sigprocmask, how, &set, old, 8);
}

static void take_over_main(struct g *g)
{
	uint64_t mask;
	struct kstack st = { 0 };
	real_mask(SIG_BLOCK, SIGALL, &mask);
	sys2(__NR_sigaltstack, 0, &st);
	g->sig.alt_sp = st.sp;
	g->sig.alt_size = st.size;
	g->sig.alt_flags = st.size ? st.flags & ~SS_ONSTACK : SS_DISABLE;
	store_rlx(&g->sig.mask, mask);
	sig_note_blocked(mask);
	sig_keep_initial(mask);
}

void sig_init(const struct sig_config *c)
{
	sig_cfg = *c;
	sig_pid = os_getpid();
	sigq_init();
	arch_sig_init();
	sig_actions_init();
	take_over_main(getg());
	sig_m_init(getm());
}

bool sig_m_alloc(struct m *m)
{
	char *p = m->sigstack ? NULL : os_mmap(SIGSTACK_SIZE + GUARD);
	if (!p)
		return m->sigstack != NULL;
	os_mprotect(p, GUARD, PROT_NONE);
	m->sigstack = p + GUARD;
	m->sigstack_size = SIGSTACK_SIZE;
	return true;
}

void sig_m_free(struct m *m)
{
	os_munmap((char *)m->sigstack - GUARD, m->sigstack_size + GUARD);
	m->sigstack = NULL;
}

void sig_m_init(struct m *m)
{
	if (!sig_pid) /* M 0 before sig_init, which comes back here */
		return;
	struct kstack st = { .sp = (uintptr_t)m->sigstack, .size = m->sigstack_size };
	sys2(__NR_sigaltstack, &st, 0);
	real_mask(SIG_SETMASK, sig_realmask(m), NULL);
}

void sig_m_wired(struct m *m)
{
	real_mask(SIG_SETMASK, sig_realmask(m), NULL);
}

void sig_g_init(struct g *child, struct g *parent)
{
	store_rlx(&child->sig.mask, load_rlx(&parent->sig.mask));
	child->sig.alt_flags = SS_DISABLE;
	child->sig.exiting = child->sig.owner = false;
}

void sig_g_exit(struct g *g)
{
	sig_drain();
	lock(&siglock);
	g->sig.exiting = true;
	sigq_flush(&g->sig.pending, SIGALL);
	bool told = load_acq(&g->interrupt) & IntrSignal;
	unlock(&siglock);
	if (told && atomic_load(&sig_shared.set))
		sig_retarget(SIGALL);
}

/* --- fork --- */

static bool held_over_fork;

void sig_fork_prepare(void)
{
	lock(&siglock);
	held_over_fork = true;
}

void sig_fork_parent(void)
{
	held_over_fork = false;
	unlock(&siglock);
}

void sig_after_fork_child(struct g *self)
{
	if (held_over_fork)
		unlock(&siglock);
	held_over_fork = false;
	sig_pid = os_getpid();
	sigq_reset_after_fork();
	sig_forget_left();
	self->sig.pending = (struct sigpending){ 0 };
	sig_timer_reset();
	store_rlx(&sig_nwaiting, 0);
	sig_actions_after_fork();
	store_rlx(&self->interrupt, 0);
}

/* --- exec --- */

/* No kick may be under way: the new program has no handler for it, and would die. Who has the flag set need not fear that
 * another is sent. */
static void forbid_kicks(struct m *m)
{
	store_rlx(&m->execs, true);
	while (atomic_exchange(&m->kicked, 1))
		os_osyield();
}

static void permit_kicks(struct m *m)
{
	store_rel(&m->kicked, 0);
	store_rlx(&m->execs, false);
}

/* While the program's SIG_IGN stood in the kernel for an exec that has failed, kicks of other M's were thrown away: those that
 * were under way, and those sent meanwhile. One that waits to exec may go on then, and its new program ignores them too. */
static void forget_lost_kicks(void)
{
	if (sig_action(preempt_signal).handler != HANDLER_IGN)
		return;
	struct m *self = getm();
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (m != self)
			store_rel(&m->kicked, 0);
	unlock(&sched.lock);
}

void sig_before_exec(struct g *g)
{
	atomic_fetch_add(&sched.nexec, 1);
	forbid_kicks(getm());
	uint64_t mask = load_rlx(&g->sig.mask);
	struct ksiginfo info;
	sig_drain();
	sig_actions_for_exec();
	real_mask(SIG_SETMASK, mask, NULL);
	/* What other M's get from here on goes back to the kernel, for the new program. */
	sig_keep_for_exec(mask);
	sig_drain();
	sig_timer_exec(true);
	g->sig.exec_shared = load_rlx(&sig_shared.set) & mask;
	/* To this kernel thread, where they are blocked: no other M must take them if the exec fails. */
	while (sig_take_waited(g, mask, &info))
		sys4(__NR_rt_tgsigqueueinfo, sig_pid, os_gettid(), info.signo, &info);
}

/* Takes back what was handed to the kernel. */
void sig_after_exec_failed(struct g *g)
{
	int64_t none[2] = { 0, 0 };
	struct ksiginfo info;
	sig_actions_after_exec();
	forget_lost_kicks();
	sig_timer_exec(false);
	uint64_t mask = load_rlx(&g->sig.mask) & ~sig_kept_after_exec();
	while (sys4(__NR_rt_sigtimedwait, &mask, &info, none, 8) > 0)
		if (!sig_kicked(getm(), info.signo, &info))
			sig_send(g->sig.exec_shared & sigbit(info.signo) ? NULL : g, info.signo, &info);
	permit_kicks(getm());
	real_mask(SIG_SETMASK, sig_realmask(getm()), NULL);
	atomic_fetch_add(&sched.nexecover, 1);
}
