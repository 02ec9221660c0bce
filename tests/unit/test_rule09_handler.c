/* test_rule09_handler.c - rule 9, the signal handler's half: it puts the G's context on the G's own stack and lets the G
 * go on in preempted(), unless preloom's own code was interrupted. It changes neither the M's signal mask nor its alternate
 * stack, and a G that returns from its frame on another M gets that M's. */
#include "unit.h"
#include <signal.h>
#include "sigframe.h"

#define TEXT_LO 0x10000u /* where preloom's own code is said to be */
#define TEXT_HI 0x20000u
#define TRAMP 0x30000u
#define PROGRAM 0x400000u

/* From sigimpl.h, whose kernel headers and the C library's do not go together. */
extern struct sig_config sig_cfg;
extern int sig_pid;
void sigq_init(void);
void sigentry(int sig, struct ksiginfo *info, struct kuc *uc);
_Noreturn void sig_return(struct kuc *uc);

/* --- instead of sigframe.S --- */

const char preloom_sigreturn[1], arch_restorer[1], arch_commit_begin[1], arch_commit_end[1];
const char arch_blocking_begin[1], arch_blocking_again[1], arch_blocking_end[1];
const char arch_blocking_not_made[1], arch_blocking_ended[1];
const char arch_user_begin[1], arch_user_end[1], arch_user_fault[1];

static struct kuc committed;
static struct m *committed_on;

void arch_sig_commit(struct kuc *uc, _Atomic uint32_t *flags)
{
	committed = *uc;
	committed_on = getm();
	store_rlx(flags, 0);
	for (;;)
		fake_suspend(MUser);
}

long arch_on_sigstack(long (*fn)(void *), void *arg, uintptr_t top)
{
	(void)top;
	return fn(arg);
}

/* --- a G that runs the program's code --- */

static bool is_tramp(uintptr_t ip)
{
	return ip == TRAMP;
}

static uintptr_t same(uintptr_t ip)
{
	return ip;
}

static char stack[64 << 10] __attribute__((aligned(64)));
static struct kuc uc;
static const struct kstack altstack = { .sp = 0x7000000, .size = 0x10000 };

static void program(int procs)
{
	fake_start(procs);
	sig_cfg = (struct sig_config){ TEXT_LO, TEXT_HI, TEXT_HI, is_tramp, same, same, same, NULL };
	sig_pid = os_getpid();
	sigq_init();
	arch_sig_init();
	sig_g_init(main_g, main_g);
	uc = (struct kuc){ .ip = PROGRAM, .sp = (uintptr_t)stack + sizeof(stack) - 256, .stack = altstack, .sigmask = 0,
			   .ax = 111, .bx = 222 };
	store_rlx(&main_g->inshim, 0);
	store_rlx(&main_g->preempt, 1);
}

static void kick(void)
{
	struct ksiginfo info = { .signo = preempt_signal, .code = SI_TKILL, .pid = sig_pid };
	sigentry(preempt_signal, &info, &uc);
}

static const struct kframe *frame(void)
{
	return (const struct kframe *)uc.sp;
}

START_TEST(the_context_goes_to_the_g_s_stack)
{
	program(1);
	uintptr_t sp = uc.sp;
	kick();
	ck_assert_uint_ne(uc.ip, PROGRAM);
	ck_assert_uint_ge(uc.sp, (uintptr_t)stack);
	ck_assert_uint_le(uc.sp + sizeof(struct kframe), sp - RED_ZONE);
	ck_assert_uint_eq(uc.sp % 16, 8); /* as after a call */
	ck_assert_uint_eq(frame()->restorer, (uintptr_t)preloom_sigreturn);
	ck_assert_uint_eq(frame()->uc.ip, PROGRAM);
	ck_assert_uint_eq(frame()->uc.sp, sp);
	ck_assert_uint_eq(frame()->uc.ax, 111);
	ck_assert_uint_eq(frame()->uc.bx, 222);
}
END_TEST

START_TEST(mask_and_alternate_stack_of_the_m_stay)
{
	program(1);
	store_rlx(&main_g->sig.mask, 0xe00);
	kick();
	ck_assert_uint_eq(uc.sigmask, sig_realmask(getm()));
	ck_assert_uint_eq(uc.stack.sp, altstack.sp);
	ck_assert_uint_eq(uc.stack.size, altstack.size);
	ck_assert_uint_eq(frame()->uc.sigmask, 0xe00); /* the G's own comes back with it */
}
END_TEST

static void go_on(void *unused)
{
	(void)unused;
	((void (*)(void))uc.ip)();
	sig_return((struct kuc *)&frame()->uc);
}

START_TEST(there_it_gives_its_p_away)
{
	program(1);
	struct g *a = unit_runnable();
	runq_put(&allp[0], a, false);
	store_rlx(&allp[0].schedtick, 1);
	kick();
	fake_call(main_g, go_on, NULL);
	ck_assert_ptr_eq(unit_curg(0), a);
	ck_assert_ptr_eq(sched.usedup.head, main_g);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunnable);
	ck_assert_ptr_null(committed_on);
	ck_assert_uint_eq(frame()->uc.ip, PROGRAM);
}
END_TEST

START_TEST(it_returns_with_what_is_the_new_m_s)
{
	program(2);
	struct g *other = unit_spawn(), *a = unit_runnable();
	struct m *m = other->m;
	static char sigstack[2][4096];
	m0.sigstack = sigstack[0];
	m->sigstack = sigstack[1];
	m0.sigstack_size = m->sigstack_size = sizeof(sigstack[0]);
	store_rlx(&main_g->sig.mask, 0xe00);
	runq_put(&allp[0], a, false);
	store_rlx(&allp[0].schedtick, 1);
	kick();
	fake_call(main_g, go_on, NULL);
	ck_assert_ptr_eq(unit_curg(0), a);
	fake_call(other, unit_park, NULL);
	ck_assert_ptr_eq(committed_on, m);
	ck_assert_uint_eq(committed.ip, PROGRAM);
	ck_assert_uint_eq(committed.ax, 111);
	ck_assert_uint_eq(committed.stack.sp, (uintptr_t)sigstack[1]);
	ck_assert_uint_eq(committed.sigmask, sig_realmask(committed_on));
	ck_assert_uint_eq(load_rlx(&main_g->sig.mask), 0xe00);
}
END_TEST

/* --- it backs off --- */

static void unchanged(void)
{
	struct kuc before = uc;
	kick();
	ck_assert_uint_eq(uc.ip, before.ip);
	ck_assert_uint_eq(uc.sp, before.sp);
	ck_assert_uint_eq(uc.stack.sp, before.stack.sp);
	/* The request stands: the shim looks at its end. */
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1);
}

START_TEST(in_preloom_s_own_code)
{
	program(1);
	uc.ip = TEXT_LO;
	unchanged();
	uc.ip = TEXT_HI - 1;
	unchanged();
	uc.ip = TRAMP;
	unchanged();
	uc.ip = TEXT_HI;
	kick();
	ck_assert_uint_ne(uc.ip, TEXT_HI);
}
END_TEST

/* A shim calls nothing outside, but the compiler's memcpy might be elsewhere. */
START_TEST(in_a_shim)
{
	program(1);
	store_rlx(&main_g->inshim, 1);
	unchanged();
}
END_TEST

START_TEST(on_the_m_s_own_stack)
{
	program(1);
	uc.sp = m0.g0sp - 64;
	unchanged();
}
END_TEST

START_TEST(in_a_system_call)
{
	program(1);
	entersyscall(0);
	unchanged();
}
END_TEST

START_TEST(without_room_on_the_stack)
{
	program(1);
	uc.sp = 4096 + arch_fpsize() + sizeof(struct kframe); /* the frame would end where there is no memory */
	unchanged();
}
END_TEST

/* In a loop with a `pause` when sysmon asked: as if the slice were over. */
static bool preempted_when_asked(unsigned pause_at)
{
	static uint8_t code[128];
	code[pause_at] = 0xf3;
	code[pause_at + 1] = 0x90;
	program(1);
	store_rlx(&main_g->preempt, 0);
	store_rlx(&m0.look, 1);
	uc.ip = (uintptr_t)code + 55;
	kick();
	ck_assert_uint_eq(load_rlx(&m0.look), 0);
	ck_assert_uint_eq(allp[0].npassed, allp[0].nspun ? PASS_MAX : 0); /* it may spin for the global queue's first */
	return uc.ip != (uintptr_t)code + 55 && allp[0].nspun == 1;
}

START_TEST(a_g_that_spins)
{
	ck_assert(preempted_when_asked(40));
}
END_TEST

START_TEST(a_g_that_spins_before_its_pause)
{
	ck_assert(preempted_when_asked(70));
}
END_TEST

START_TEST(a_g_that_has_a_pause_elsewhere)
{
	ck_assert(!preempted_when_asked(100));
}
END_TEST

START_TEST(without_a_request)
{
	program(1);
	store_rlx(&main_g->preempt, 0);
	struct kuc before = uc;
	kick();
	ck_assert_uint_eq(uc.ip, before.ip);
	ck_assert_uint_eq(uc.sp, before.sp);
}
END_TEST

/* The runtime's own signal is no signal of the program. */
START_TEST(nothing_is_pending_afterwards)
{
	program(1);
	kick();
	ck_assert(sig_inbox_empty());
	ck_assert_uint_eq(load_rlx(&main_g->sig.pending.set), 0);
	ck_assert_uint_eq(load_rlx(&main_g->interrupt), 0);
}
END_TEST

UNIT_MAIN("rule 9: the handler", the_context_goes_to_the_g_s_stack, mask_and_alternate_stack_of_the_m_stay,
	  there_it_gives_its_p_away, it_returns_with_what_is_the_new_m_s, in_preloom_s_own_code, in_a_shim,
	  on_the_m_s_own_stack, in_a_system_call, without_room_on_the_stack, a_g_that_spins, a_g_that_spins_before_its_pause, a_g_that_has_a_pause_elsewhere, without_a_request,
	  nothing_is_pending_afterwards)
