/* sigdeliver.c - runs handlers for a G that comes out of a shim, and what happens when a handler returns.
 *
 * Both happen on the G's thread of control but on the M's signal stack, where frames can be written to the G's stack
 * without overwriting the writer. Nothing parks there. The last step is arch_sig_commit, an rt_sigreturn into the first
 * instruction of the handler, or of the program, that lets no signal slip in between.
 */
#include "gs.h"
#include "sigframe.h"
#include "sigimpl.h"
#include "crash.h"

_Static_assert(offsetof(struct g, preempt) == offsetof(struct g, inshim) + 4, "arch_sig_commit");
_Static_assert(offsetof(struct g, interrupt) == offsetof(struct g, inshim) + 8, "arch_sig_commit");
_Static_assert(offsetof(struct g, inshim) == OFF_G_INSHIM && offsetof(struct g, xstate) == OFF_G_XSTATE &&
		       offsetof(struct g, gs) == OFF_G_GS,
	       "arch_leave");

static uintptr_t sigstack_top(void)
{
	struct m *m = getm();
	return ((uintptr_t)m->sigstack + m->sigstack_size - 64) & ~63UL;
}

/* The frame cannot be written: the program gets SIGSEGV, on its alternate stack if it has one, or dies of it. */
void sig_push(struct kuc *c, struct g *g, struct sigdelivery *d)
{
	struct ksiginfo info = { .signo = SIGSEGV, .code = 0x80 };
	if (arch_sig_push(c, g, d))
		return;
	if (d->sig != SIGSEGV && sig_forced(g, SIGSEGV, &info, d) && arch_sig_push(c, g, d))
		return;
	sig_default_action(SIGSEGV, &info);
	os_exit_process(128 + SIGSEGV);
}

/* c is the context on which the handler of d is the first of perhaps several. */
static _Noreturn void enter_handlers(struct kuc *c, struct g *g, struct sigdelivery *d)
{
	bool more = true;
	for (;;) {
		while (more) {
			sig_push(c, g, d);
			more = sig_next(g, d);
		}
		c->stack = arch_sig_mstack();
		c->sigmask = sig_realmask(getm());
		arch_sig_commit(c, &g->inshim);
		more = sig_told(g) && sig_next(g, d);
	}
}

/* --- at the end of a shim --- */

struct exit_arg {
	struct regs *r;
	long ret;
};

static bool restarts(long ret, uint64_t sa_flags)
{
	return ret == -ERESTARTNOINTR || (ret == -ERESTARTSYS && (sa_flags & SA_RESTART));
}

static bool is_restart_code(long ret)
{
	return ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
	       ret == -ERESTART_RESTARTBLOCK;
}

static long deliver_exit(void *p)
{
	const struct exit_arg *a = p;
	struct g *g = getg();
	struct sigdelivery d;
	struct kuc c;
	if (!sig_next(g, &d))
		return 0;
	uint8_t *fp = __builtin_alloca(arch_fpsize() + 64);
	fp = (uint8_t *)align_up((uintptr_t)fp, 64);
	arch_sig_site(&c, a->r, is_restart_code(a->ret) ? -EINTR : a->ret, g->xstate, fp);
	if (restarts(a->ret, d.sa.flags))
		arch_sig_site_restart(&c, a->r);
	enter_handlers(&c, g, &d);
}

/* The handler for SIGSYS sees the call as it stands in the program: not made, its number in rax. */
static long deliver_refused(void *p)
{
	const struct exit_arg *a = p;
	struct g *g = getg();
	struct sigdelivery d;
	struct kuc c;
	uint8_t *fp = __builtin_alloca(arch_fpsize() + 64);
	fp = (uint8_t *)align_up((uintptr_t)fp, 64);
	arch_sig_site(&c, a->r, (long)a->r->rax, g->xstate, fp);
	struct ksiginfo info = { .signo = SIGSYS, .err = g->sig.refused_err, .code = CODE_SECCOMP };
	info.words[0] = c.ip;
	info.words[1] = a->r->rax | (uint64_t)g->sig.refused_arch << 32;
	g->sig.refused = false;
	if (!sig_forced(g, SIGSYS, &info, &d)) {
		crash_fault(SIGSYS, &info, &c, false);
		sig_default_action(SIGSYS, &info);
		os_exit_process(128 + SIGSYS);
	}
	enter_handlers(&c, g, &d);
}

long sig_deliver_exit(struct regs *r, long ret)
{
	struct g *g = getg();
	struct exit_arg a = { r, ret };
	if (unlikely(g->sig.refused))
		arch_on_sigstack(deliver_refused, &a, sigstack_top());
	if (sig_told(g))
		arch_on_sigstack(deliver_exit, &a, sigstack_top());
	/* An awaited signal that came to nothing under the other mask: the call begins anew, or ended by itself. */
	sig_restore_mask(g);
	if (load_acq(&g->interrupt) & IntrSignal)
		arch_on_sigstack(deliver_exit, &a, sigstack_top());
	return ret;
}

/* --- at the end of a handler --- */

static long deliver_return(void *p)
{
	struct kuc c = *(struct kuc *)p;
	struct g *g = getg();
	struct sigdelivery d;
	if (!sig_next(g, &d))
		return 0;
	enter_handlers(&c, g, &d);
}

/* Called by preloom_sigreturn on the stack below the frame. */
_Noreturn __attribute__((used)) void sig_return(struct kuc *uc)
{
	if (unlikely(arch_gs_shared))
		gs_enter();
	struct g *g = getg();
	store_rlx(&g->inshim, 1);
	altstack_restore(g, &uc->stack, (uintptr_t)uc);
	sig_note_blocked(uc->sigmask & ~load_rlx(&g->sig.mask));
	sig_setmask(g, uc->sigmask);
	for (;;) {
		if (sig_told(g))
			arch_on_sigstack(deliver_return, uc, sigstack_top());
		if (load_rlx(&g->preempt))
			preempt_park();
		uc->ip = sig_cfg.resume_ip(uc->ip);
		uc->stack = arch_sig_mstack();
		uc->sigmask = sig_realmask(getm());
		arch_sig_commit(uc, &g->inshim);
	}
}
