/* sigentry.c - preloom's handler: all that the kernel ever calls.
 *
 * It runs on the M's signal stack with asynchronous signals blocked, so it never nests except for a fault in a copy from
 * or to the program. What it may do depends on what it interrupted:
 *
 * Program   the program, in the G's own code: no lock of ours is held. Takes the signal to its target, and if that is
 *           this G, or the G shall be preempted, writes frames on the G's stack and lets the kernel "return" into the
 *           handler. So the G never stays on the M's signal stack and may go on with another M.
 *           Places between preloom and the program count as the program, each with the context that it leads to: the
 *           rt_sigreturn that leaves preloom, the last look at the notes and what follows it (arch_leave), trampolines
 *           and the beginning of the entry stub. In none of these would anybody look for what the handler put aside.
 * Blocking  around a raw blocking call: no lock is held and the P is given up. Takes the signal in; if the G is to be
 *           interrupted the call fails with EINTR instead of starting.
 * Asleep    an M without a P that sleeps on its note: the same.
 * Ours      any other code of ours, which may hold locks or be in the middle of a queue. Only puts the signal into the
 *           inbox and sets `interrupt`, which makes the shim look at its end, and makes it not park before.
 *
 * Faults in the program go to the G at once; those without a handler happen again with SIG_DFL in force, so that status
 * and core are the fault's own.
 */
#include "control.h"
#include "crash.h"
#include "ending.h"
#include "gs.h"
#include "prof.h"
#include "sigframe.h"
#include "sigimpl.h"

enum where { Foreign, Program, Blocking, Asleep, Ours };

void sig_push(struct kuc *c, struct g *g, struct sigdelivery *d);

/* Code that the program made at run time may change GS although nobody saw that coming, and take the M away from under us;
 * the next look at it faults, here at the latest. There is no way on, but it shall be known why. */
static void die_if_gs_is_lost(void)
{
	uintptr_t gs = arch_get_gs();
	if (arch_gs_shared)
		return;
	bool known = gs == 0 || (gs >= sig_cfg.text_lo && gs < sig_cfg.data_hi);
	for (struct m *m = sched.allm; m && !known; m = m->alllink)
		known = gs == (uintptr_t)m;
	if (known)
		return;
	rt_printf(2, "preloom: the program has set the GS register to %p, in code that it made at run time; preloom cannot serve "
		     "that: run it with PRELOOM=off\n", (void *)gs);
	os_exit_process(128 + SIGSEGV);
}

static bool between(uintptr_t ip, const char *begin, const char *end)
{
	return ip >= (uintptr_t)begin && ip < (uintptr_t)end;
}

static bool on_g0(const struct m *m, uintptr_t sp)
{
	return sp - (uintptr_t)m->g0stack <= m->g0size;
}

/* Is it the program's code, or does it lead there? Then c is the program's context. */
static bool in_program(const struct m *m, const struct kuc *uc, struct kuc *c)
{
	const struct g *g = m->curg;
	uintptr_t ip = uc->ip, sp = uc->sp;
	if (!g || !m->p)
		return false;
	if (between(ip, arch_commit_begin, arch_commit_end)) {
		*c = *(const struct kuc *)uc->di;
		return true;
	}
	*c = *uc;
	if (between(ip, arch_leave_begin, arch_leave_end)) {
		if (g->sig.refused) /* the call is not over: its SIGSYS comes first, and only the shim can raise it */
			return false;
		arch_sig_leaving(c, g->regs);
		return true;
	}
	if (load_rlx(&g->inshim) || on_g0(m, uc->sp))
		return false;
	if (!text_is_ours(ip))
		return true;
	c->ip = sig_cfg.program_ip ? sig_cfg.program_ip(ip, &sp) : 0;
	c->sp = sp;
	return c->ip != 0;
}

static enum where where_is(const struct m *m, const struct kuc *uc, struct kuc *c)
{
	const struct g *g = m ? m->curg : NULL;
	uintptr_t ip = uc->ip;
	if (!m || m->foreign)
		return Foreign;
	if (in_program(m, uc, c))
		return Program;
	/* One past the end: the call was interrupted. */
	if (g && !m->p && ip >= (uintptr_t)arch_blocking_begin && ip <= (uintptr_t)arch_blocking_end)
		return Blocking;
	if (load_rlx(&m->waitsig) && !m->p)
		return Asleep;
	return Ours;
}

/* The G's last words before it is preempted, on its own stack; it returns to preloom_sigreturn. */
static void preempted(void)
{
	struct g *g = getg();
	store_rlx(&g->inshim, 1);
	if (load_rlx(&g->preempt))
		preempt_park();
}

/* See preempt.c. c is the program's context. */
static void look_for_spinning(struct m *m, const struct kuc *c)
{
	struct g *g = m->curg;
	store_rlx(&m->look, 0);
	preempt_note_place(g, c->ip);
	if (!arch_at_pause(c))
		return;
	store_rlx(&g->preempt, 1);
	m->p->nspun++;
	m->p->npassed = PASS_MAX; /* the first in the queue may be what it spins for */
}

/* Replaces the frame that the kernel will return from by the program's context c, if there is something to do on top of it. */
static void deliver_here(struct m *m, struct kuc *uc, struct kuc c)
{
	struct g *g = m->curg;
	struct sigdelivery d;
	bool any = false;
	while (sig_told(g) && sig_next(g, &d)) {
		sig_push(&c, g, &d);
		any = true;
	}
	if (load_rlx(&g->preempt) && arch_sig_push_call(&c, g, preempted))
		any = true;
	if (!any)
		return;
	c.stack = uc->stack;
	c.sigmask = uc->sigmask;
	*uc = c;
	store_rlx(&g->inshim, 0);
}

/* --- kernel threads that are not ours --- */

static void foreign(int sig, struct ksiginfo *info, struct kuc *uc)
{
	const struct ksigaction *sa = sig_action_locked(sig);
	if (sa->handler == HANDLER_IGN)
		return;
	if (sa->handler == HANDLER_DFL) {
		sig_default_action(sig, info);
		return;
	}
	uint64_t mask = uc->sigmask | sa->mask | (sa->flags & SA_NODEFER ? 0 : sigbit(sig));
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
	((void (*)(int, struct ksiginfo *, struct kuc *))sa->handler)(sig, info, uc);
}

/* --- faults --- */

static bool is_fault(int sig, const struct ksiginfo *info)
{
	return (sigbit(sig) & SIG_SYNC) && info->code > 0;
}

static bool fixed_up(struct kuc *uc)
{
	if (uc->ip < (uintptr_t)arch_user_begin || uc->ip >= (uintptr_t)arch_user_end)
		return false;
	uc->ip = (uintptr_t)arch_user_fault;
	return true;
}

static void die_of_fault(int sig, const struct ksiginfo *info, struct kuc *uc, bool in_runtime)
{
	crash_fault(sig, info, uc, in_runtime);
	process_ending();
	/* A trap is over: returning would not raise it again. */
	if (sig == SIGTRAP || sig == SIGSYS || (uc->sigmask & sigbit(sig))) {
		sig_default_action(sig, info);
		os_exit_process(128 + sig);
	}
	sig_set_default(sig);
	uc->sigmask = ~sigbit(sig); /* nothing but the fault comes now */
}

/* seccomp refused a call that our code made. One that a shim makes for the program, as the program asked for it, is the
 * program's fault: it gets the signal at the end of the shim. All others are ours, which have another way. */
static void refused_call(struct m *m, const struct ksiginfo *info, struct kuc *uc)
{
	struct g *g = m->curg;
	uint64_t nr = uc->ax;
	uc->ax = (uint64_t)-ENOSYS;
	if (!g || on_g0(m, uc->sp) || !load_rlx(&g->inshim) || g->regs->rax != nr)
		return;
	g->sig.refused = true;
	g->sig.refused_err = info->err;
	g->sig.refused_arch = (uint32_t)(info->words[1] >> 32);
	atomic_fetch_or(&g->interrupt, IntrInbox); /* the shim looks */
}

static void fault(struct m *m, int sig, struct ksiginfo *info, struct kuc *uc)
{
	struct g *g = m->curg;
	uintptr_t ip = uc->ip;
	bool own = ip >= sig_cfg.text_lo && ip < sig_cfg.text_hi;
	if (own || !g || !m->p || load_rlx(&g->inshim) || on_g0(m, uc->sp)) {
		if (sig == SIGSYS) {
			refused_call(m, info, uc);
			return;
		}
		die_of_fault(sig, info, uc, true);
		return;
	}
	struct sigdelivery d;
	if (!sig_forced(g, sig, info, &d)) {
		die_of_fault(sig, info, uc, false);
		return;
	}
	struct kuc c = *uc;
	sig_push(&c, g, &d);
	c.stack = uc->stack;
	*uc = c;
}

/* --- all others --- */

/* The kernel raised it for the system call that this kernel thread was in. */
static bool of_the_caller(int sig, const struct ksiginfo *info)
{
	return (sig == SIGPIPE || sig == SIGXFSZ) && info->code == CODE_USER && info->pid == sig_pid;
}

/* For CPU time that has been used: the kernel prefers the thread that used it, and profilers rely on that. */
static bool of_cpu_time(int sig, const struct ksiginfo *info)
{
	return (sig == SIGPROF || sig == SIGVTALRM || sig == SIGXCPU) && info->code == CODE_KERNEL;
}

/* A descriptor's signal that arrived at the kernel thread of the G that asked for it (fcntl with F_OWNER_TID). */
static bool of_a_descriptor(int sig, const struct ksiginfo *info)
{
	if (sig == SIGIO || sig == SIGURG)
		return info->code > 0;
	return sig >= SIGRTMIN && info->code > 0 && info->code < CODE_KERNEL;
}

/* NULL: the process. */
static struct g *meant_for(struct m *m, int sig, const struct ksiginfo *info)
{
	struct g *g = m->curg;
	if (of_the_caller(sig, info))
		return g;
	if (of_cpu_time(sig, info) && g && !g->sig.exiting && !(atomic_load(&g->sig.mask) & sigbit(sig)))
		return g;
	g = m->lockedg;
	return g && g->sig.owner && of_a_descriptor(sig, info) ? g : NULL;
}

static void take_in(struct m *m, int sig, struct ksiginfo *info, struct kuc *uc)
{
	struct g *to = meant_for(m, sig, info);
	info->signo = sig;
	if (sig_timer_merged(info) || inbox_put(to, info))
		return;
	sig_timer_dropped(info);
	/* Full: the kernel keeps it. The M blocks the signal until somebody empties the inbox and kicks all M's. */
	sig_inbox_overflowed();
	if (sig_realmask(m) & sigbit(sig)) /* it came before the M blocked it */
		sys3(__NR_rt_sigqueueinfo, sig_pid, sig, info);
	else
		sys4(__NR_rt_tgsigqueueinfo, sig_pid, m->procid, sig, info);
	uc->sigmask |= sigbit(sig);
}

static void handle(int sig, struct ksiginfo *info, struct kuc *uc)
{
	if ((sig == SIGSEGV || sig == SIGBUS) && info->code > 0) {
		if (fixed_up(uc))
			return;
		die_if_gs_is_lost();
	}
	struct m *m = gs_m();
	if (unlikely(sig == preempt_signal && prof_is_signal(info))) {
		if (m && !m->foreign)
			prof_signal(m, info, uc);
		return;
	}
	struct kuc c;
	enum where w = where_is(m, uc, &c);
	bool bell = unlikely(sig == preempt_signal && control_rings(info));
	if (w == Foreign) {
		die_if_gs_is_lost(); /* it may look like a kernel thread that is not ours */
		if (!bell)
			foreign(sig, info, uc);
		return;
	}
	if (is_fault(sig, info)) {
		fault(m, sig, info, uc);
		return;
	}
	struct g *g = m->curg;
	bool kick = sig_kicked(m, sig, info) || bell;
	world_answer(m);
	ending_hold(m);
	if (!sig_inbox_overflown()) /* else two signals would unblock each other for ever */
		uc->sigmask = sig_realmask(m);
	if (!kick && (sig_kept() & sigbit(sig))) { /* this M did not block it yet */
		info->signo = sig;
		sig_give_back(info);
		return;
	}
	if (!kick)
		take_in(m, sig, info, uc);
	switch (w) {
	case Program:
		if (unlikely(load_rlx(&m->look)))
			look_for_spinning(m, &c);
		deliver_here(m, uc, c);
		break;
	case Blocking:
		sig_drain();
		if ((load_acq(&g->interrupt) || load_acq(&g->queuem)) && uc->ip < (uintptr_t)arch_blocking_end)
			uc->ip = (uintptr_t)(uc->ip == (uintptr_t)arch_blocking_again ? arch_blocking_ended :
												 arch_blocking_not_made);
		break;
	case Asleep:
		sig_drain();
		break;
	default:
		/* On g0, curg may have parked already and be anybody's: a hint that nobody follows would hide it from senders.
		 * The M empties the inbox before it sleeps, and sysmon does. */
		if (g && !kick && !on_g0(m, uc->sp))
			atomic_fetch_or(&g->interrupt, IntrInbox);
	}
}

void sigentry(int sig, struct ksiginfo *info, struct kuc *uc)
{
	if (likely(!arch_gs_shared)) {
		handle(sig, info, uc);
		return;
	}
	uintptr_t gs = gs_enter_handler();
	handle(sig, info, uc);
	/* To ours: a place in our code that it interrupted, or `preempted`, which came to its G from the handler and not from the
	 * program. */
	if (uc->ip == (uintptr_t)preempted)
		return;
	gs_leave_handler(gs, !text_is_ours(uc->ip));
}
