/* sigaction.c - the program's handlers, and what the kernel is told about each signal.
 *
 * The table holds what the program asked for. The kernel has preloom's handler for a signal if the program has one,
 * or if somebody blocks or awaits the signal (`caught`, which only grows: a signal that every G blocks must come to us
 * to be pending, since no M ever blocks it), or if preloom itself needs it (SIGSEGV and SIGBUS for faults in copies
 * from and to the program, the signal that preempts; those whose default action is preceded by a report, crash.c). All other signals keep the program's own SIG_DFL or SIG_IGN in the
 * kernel. The default action of a signal that is caught is the kernel's too: SIG_DFL for a moment, and the signal again.
 *
 * The handler runs on the M's signal stack with every asynchronous signal blocked: were the mask empty, the kernel
 * would pile up a frame for each signal that became pending while the process did not run, until the stack is full.
 * No SA_RESTART: an interrupted call returns EINTR to the shim, which knows what the program's flags say. Only the
 * preemption signal restarts, for the sake of calls that preloom could not rewrite.
 */
#include "crash.h"
#include "ending.h"
#include "sigframe.h"
#include "sigimpl.h"

/* What the kernel knows; it forgets all other bits, by which programs find out what it supports. */
#define SA_TAGBITS 0x800u
#define SA_KNOWN                                                                                                          \
	((uint64_t)(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART) |                   \
	 (uint32_t)SA_NODEFER | (uint32_t)SA_RESETHAND | SA_TAGBITS)
#define SA_KEPT ((uint64_t)(SA_NOCLDSTOP | SA_NOCLDWAIT))

static struct ksigaction actions[NSIG_ALL + 1];
static _Atomic uint64_t caught;
static uint64_t ours;	/* the kernel has our handler */
static int64_t nhandlers; /* our share of sched.nhandlers */

static bool always_ours(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == preempt_signal || sig == SIG_CANCEL;
}

/* They end the process, and nobody but preloom need notice. */
#define ENDING_SIGNALS (sigbit(SIGINT) | sigbit(SIGTERM) | sigbit(SIGHUP))

/* Their default action is preceded by a report, or by what is to be done at the end. */
static bool reported(int sig)
{
	uint64_t set = CRASH_SIGNALS | (ending_watched() ? ENDING_SIGNALS : 0);
	return (set & sigbit(sig)) && actions[sig].handler == HANDLER_DFL;
}

static bool is_handler(const struct ksigaction *a)
{
	return a->handler != HANDLER_DFL && a->handler != HANDLER_IGN;
}

static void kernel_set(int sig, const struct ksigaction *k)
{
	sys4(__NR_rt_sigaction, sig, k, 0, 8);
}

static void kernel_default(int sig)
{
	struct ksigaction k = { .flags = SA_RESTORER | (actions[sig].flags & SA_KEPT),
				.restorer = (uintptr_t)arch_restorer };
	kernel_set(sig, &k);
	ours &= ~sigbit(sig);
}

void sig_set_default(int sig)
{
	kernel_default(sig);
}

/* siglock. A child that must be reaped by nobody is so by SIG_IGN only, even if the signal is blocked. */
static void install(int sig)
{
	const struct ksigaction *a = &actions[sig];
	bool to_us = is_handler(a) || always_ours(sig) || reported(sig) || (load_rlx(&caught) & sigbit(sig));
	if (sig == SIGCHLD && a->handler == HANDLER_IGN)
		to_us = false;
	struct ksigaction k = { .restorer = (uintptr_t)arch_restorer };
	if (to_us) {
		k.handler = (uintptr_t)sigentry;
		k.flags = SA_SIGINFO | SA_RESTORER | SA_ONSTACK | (a->flags & SA_KEPT);
		k.mask = ~SIG_SYNC;
		if (sigbit(sig) & SIG_SYNC)
			k.flags |= SA_NODEFER;
		if (sig == preempt_signal || sig == SIG_CANCEL) /* ours mean no interruption */
			k.flags |= SA_RESTART;
		ours |= sigbit(sig);
	} else {
		k.handler = a->handler;
		k.flags = SA_RESTORER | (a->flags & SA_KEPT);
		ours &= ~sigbit(sig);
	}
	kernel_set(sig, &k);
}

static void count_handlers(void)
{
	int64_t n = 0;
	for (int sig = 1; sig <= NSIG_ALL; sig++)
		if (is_handler(&actions[sig]) && !(sigbit(sig) & SIG_NOT_WAKEUP))
			n++;
	atomic_fetch_add(&sched.nhandlers, (uint32_t)(n - nhandlers));
	nhandlers = n;
}

struct ksigaction sig_action(int sig)
{
	lock(&siglock);
	struct ksigaction a = actions[sig];
	unlock(&siglock);
	return a;
}

const struct ksigaction *sig_action_locked(int sig)
{
	return &actions[sig];
}

bool sig_is_ignored(int sig)
{
	uintptr_t h = actions[sig].handler;
	return h == HANDLER_IGN || (h == HANDLER_DFL && (sigbit(sig) & SIG_DFL_IGNORED));
}

static void flush_everywhere(int sig)
{
	sigq_flush(&sig_shared, sigbit(sig));
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		if (g)
			sigq_flush(&g->sig.pending, sigbit(sig));
	}
}

bool sig_action_set(int sig, const struct ksigaction *sa, struct ksigaction *old)
{
	if (sig < 1 || sig > NSIG_ALL || (sa && (sigbit(sig) & SIG_UNBLOCKABLE)))
		return false;
	lock(&siglock);
	*old = actions[sig];
	if (sa) {
		actions[sig] = *sa;
		actions[sig].mask &= ~SIG_UNBLOCKABLE;
		actions[sig].flags &= SA_KNOWN;
		/* One handler for another changes nothing in the kernel. */
		if (!(ours & sigbit(sig)) || !is_handler(sa) || (old->flags ^ sa->flags) & SA_KEPT)
			install(sig);
		if (is_handler(sa) != is_handler(old))
			count_handlers();
		if (sig_is_ignored(sig))
			flush_everywhere(sig);
		else
			sig_timer_heeded(sig);
	}
	unlock(&siglock);
	return true;
}

void sig_oneshot(int sig)
{
	actions[sig].handler = HANDLER_DFL;
	install(sig);
	count_handlers();
}

void sig_note_blocked(uint64_t set)
{
	set &= ~(SIG_UNBLOCKABLE | load_rlx(&caught));
	if (likely(!set))
		return;
	lock(&siglock);
	set &= ~atomic_fetch_or(&caught, set);
	for (int sig = 1; sig <= NSIG_ALL; sig++)
		if ((set & ~ours) & sigbit(sig))
			install(sig);
	unlock(&siglock);
}

void sig_actions_init(void)
{
	for (int sig = 1; sig <= NSIG_ALL; sig++) {
		if (sigbit(sig) & SIG_UNBLOCKABLE)
			continue;
		sys4(__NR_rt_sigaction, sig, 0, &actions[sig], 8);
		if (is_handler(&actions[sig]) || always_ours(sig) || reported(sig))
			install(sig);
	}
	count_handlers();
}

/* The G's that awaited signals are gone. */
void sig_actions_after_fork(void)
{
	store_rlx(&sched.nhandlers, (uint32_t)nhandlers);
}

/* exec keeps SIG_IGN but turns handlers into SIG_DFL; where ours stands for SIG_IGN, the kernel must know. */
void sig_actions_for_exec(void)
{
	lock(&siglock);
	for (int sig = 1; sig <= NSIG_ALL; sig++)
		if (actions[sig].handler == HANDLER_IGN && (ours & sigbit(sig))) {
			struct ksigaction k = { .handler = HANDLER_IGN, .flags = SA_RESTORER,
						.restorer = (uintptr_t)arch_restorer };
			kernel_set(sig, &k);
		}
	unlock(&siglock);
}

void sig_actions_after_exec(void)
{
	lock(&siglock);
	for (int sig = 1; sig <= NSIG_ALL; sig++)
		if (actions[sig].handler == HANDLER_IGN && (ours & sigbit(sig)))
			install(sig);
	unlock(&siglock);
}

/* CLONE_CLEAR_SIGHAND: handlers and all flags are gone. Those that preloom needs in the kernel stay. */
void sig_actions_clear(void)
{
	lock(&siglock);
	for (int sig = 1; sig <= NSIG_ALL; sig++) {
		struct ksigaction was = actions[sig];
		actions[sig] = (struct ksigaction){ .handler = is_handler(&was) ? HANDLER_DFL : was.handler };
		if (is_handler(&was) || was.flags & SA_KEPT)
			install(sig);
	}
	count_handlers();
	unlock(&siglock);
}

/* The same in a process that shares our memory: the kernel has cleared its table, where ours stood for SIG_IGN also that. */
void sig_actions_cleared_foreign(void)
{
	const struct ksigaction ignored = { .handler = HANDLER_IGN, .flags = SA_RESTORER, .restorer = (uintptr_t)arch_restorer };
	for (int sig = 1; sig <= NSIG_ALL; sig++)
		if (actions[sig].handler == HANDLER_IGN && (ours & sigbit(sig)))
			kernel_set(sig, &ignored);
}

/* Somebody wants to see the end, or no longer does. */
void sig_ending_changed(void)
{
	lock(&siglock);
	for (int sig = 1; sig <= NSIG_ALL; sig++)
		if (ENDING_SIGNALS & sigbit(sig))
			install(sig);
	unlock(&siglock);
}

/* Takes the default action. Returns if the process goes on: the signal is ignored, or it stopped and continued, or
 * the kernel spares it (process 1 of a container). */
void sig_default_action(int sig, const struct ksiginfo *info)
{
	uint64_t bit = sigbit(sig), old;
	if (bit & SIG_DFL_IGNORED)
		return;
	int pid = os_getpid();
	struct m *m = getm();
	bool foreign = !m || m->foreign;
	if (!foreign) {
		crash_signal(sig, info);
		lock(&siglock); /* before the others stop, one of which may have it */
		if (!(bit & SIG_DFL_STOPS) && pid != 1) /* the kernel spares process 1 */
			process_ending();
	}
	kernel_default(sig);
	sys3(__NR_tgkill, pid, os_gettid(), sig); /* its effect is the whole process's */
	sys4(__NR_rt_sigprocmask, SIG_UNBLOCK, &bit, &old, 8);
	sys4(__NR_rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
	if (!foreign) {
		install(sig);
		unlock(&siglock);
	}
}

/* A vfork child has the kernel's table, which says that our handler stands there; it must see, and keep over exec,
 * what the program set. was_set: the child has just replaced it. */
void sig_foreign_action(int sig, struct ksigaction *sa, bool was_set)
{
	if (sa->handler != (uintptr_t)sigentry)
		return;
	*sa = actions[sig];
	if (sa->handler == HANDLER_IGN && !was_set) {
		struct ksigaction k = { .handler = HANDLER_IGN, .flags = SA_RESTORER,
					.restorer = (uintptr_t)arch_restorer };
		kernel_set(sig, &k);
	}
}
