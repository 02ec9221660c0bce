/* test_signal_left.c - with one P the wait for a futex is its holder's to end. A signal that comes where there is no P (a handler
 * on a kernel thread in a system call, sysmon) is left to it. */
#include "unit.h"
#include <signal.h>
#include "waiters.h"

extern struct sig_config sig_cfg;
extern int sig_pid;
void sigq_init(void);
bool sig_action_set(int sig, const struct ksigaction *sa, struct ksigaction *old);

#define SIG 40

/* --- instead of sigframe.S --- */

const char preloom_sigreturn[1], arch_restorer[1], arch_commit_begin[1], arch_commit_end[1];
const char arch_blocking_begin[1], arch_blocking_again[1], arch_blocking_end[1];
const char arch_blocking_not_made[1], arch_blocking_ended[1];
const char arch_user_begin[1], arch_user_end[1], arch_user_fault[1];

void arch_sig_commit(struct kuc *uc, _Atomic uint32_t *flags)
{
	(void)uc;
	(void)flags;
	ck_abort_msg("nothing is delivered here");
}

long arch_on_sigstack(long (*fn)(void *), void *arg, uintptr_t top)
{
	(void)top;
	return fn(arg);
}

static void program(void)
{
	fake_start(1);
	sig_pid = os_getpid();
	sigq_init();
	struct ksigaction sa = { .handler = 0x400000 }, old;
	sig_action_set(SIG, &sa, &old);
}

static void send_from_nowhere(struct g *g)
{
	struct ksiginfo info = { .signo = SIG, .code = SI_QUEUE, .pid = sig_pid };
	fake_on(NULL);
	ck_assert_int_eq(sig_send(g, info.signo, &info), 0);
	fake_on(fake_of(&m0));
}

/* As at the end of a system call. */
static void wait_and_look(void *arg)
{
	do_wait(arg);
	store_rlx(&getg()->interrupt, 0);
}

static struct waiter *signalled(int n)
{
	static struct waiter w[64];
	for (int i = 0; i < n; i++) {
		w[i] = (struct waiter){ .g = unit_runnable(), .addr = &word };
		store_rlx(&w[i].g->sig.mask, 0);
		fake_first(w[i].g, wait_and_look, &w[i]);
		runq_put(&allp[0], w[i].g, false);
		run_all();
		ck_assert_int_eq(w[i].ret, RUNNING);
	}
	return w;
}

/* The main G at the end of a system call, then all others until they wait or are through. */
static void leave(void *unused)
{
	(void)unused;
	if (load_rlx(&main_g->preempt))
		gosched();
}

static void go_on(void)
{
	fake_call(main_g, leave, NULL);
	while (unit_curg(0) && unit_curg(0) != main_g)
		fake_call(unit_curg(0), unit_park, NULL);
	run_all();
}

static enum waitstate state(const struct g *g)
{
	return load_rlx(&g->wait) & WAIT_STATE_MASK;
}

START_TEST(the_holder_ends_the_wait)
{
	program();
	struct waiter *w = signalled(1);
	send_from_nowhere(w->g);
	ck_assert_uint_eq(state(w->g), WaitParked);
	ck_assert_uint_ne(load_rlx(&w->g->interrupt), 0);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1); /* it shall not have to wait for the end of a slice */
	go_on();
	ck_assert_int_eq(w->ret, -EINTR);
	ck_assert(bucket_empty(&word));
	ck_assert_uint_eq(load_rlx(&allp[0].outside), 0);
}
END_TEST

/* Who has the P ends it itself. */
START_TEST(from_the_holder)
{
	program();
	struct waiter *w = signalled(1);
	struct ksiginfo info = { .signo = SIG, .code = SI_QUEUE, .pid = sig_pid };
	ck_assert_int_eq(sig_send(w->g, info.signo, &info), 0);
	ck_assert_uint_eq(state(w->g), WaitClaimed);
	run_all();
	ck_assert_int_eq(w->ret, -EINTR);
}
END_TEST

START_TEST(a_wake_comes_before)
{
	program();
	struct waiter *w = signalled(1);
	send_from_nowhere(w->g);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 1, ~0u), 1);
	go_on();
	ck_assert_int_eq(w->ret, 0);
}
END_TEST

START_TEST(more_than_are_kept)
{
	enum { N = 50 };
	program();
	struct waiter *w = signalled(N);
	for (int i = 0; i < N; i++)
		send_from_nowhere(w[i].g);
	go_on();
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(w[i].ret, -EINTR);
}
END_TEST

/* Nobody has the P: somebody gets it. */
START_TEST(while_all_sleep)
{
	program();
	struct waiter *w = signalled(1);
	fake_call(main_g, unit_park, NULL);
	fake_settle();
	ck_assert_uint_eq(load_rlx(&sched.npidle), 1);
	send_from_nowhere(w->g);
	fake_settle();
	ck_assert_int_eq(w->ret, -EINTR);
}
END_TEST

static bool step(int procs)
{
	fake_on(NULL);
	fake.now += 2 * MSEC;
	bool done = procresize_step(procs, fake.now);
	fake_on(fake_of(&m0));
	return done;
}

/* What was left is done with when there are several P's. */
START_TEST(then_there_are_two)
{
	program();
	struct waiter *w = signalled(1);
	send_from_nowhere(w->g);
	ck_assert(!step(2));
	fake_call(main_g, leave, NULL); /* its M leaves the P to that */
	ck_assert_uint_eq(state(w->g), WaitParked);
	ck_assert(step(2));
	ck_assert(!one_p);
	ck_assert_uint_eq(state(w->g), WaitClaimed);
	fake_settle();
	ck_assert_int_eq(w->ret, -EINTR);
}
END_TEST

UNIT_MAIN("signals left to the P's holder", the_holder_ends_the_wait, from_the_holder, a_wake_comes_before, more_than_are_kept,
	  while_all_sleep, then_there_are_two)
