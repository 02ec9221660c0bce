/* test_futex.c - futex queues: WAIT, WAKE and their BITSET forms, timeouts, signals, waitv. */
#include "unit.h"
#include "futex.h"
#include "waiters.h"

START_TEST(another_value_does_not_wait)
{
	fake_start(1);
	struct waiter w = { .g = main_g, .addr = &word, .val = 1 };
	ck_assert(fake_call(main_g, do_wait, &w));
	ck_assert_int_eq(w.ret, -EAGAIN);
	ck_assert_uint_eq(load_rlx(&main_g->wait) & 0xff, WaitIdle);
	ck_assert(bucket_empty(&word));
}
END_TEST

START_TEST(another_value_again_and_again_is_a_fight)
{
	rt_opt.cpus = 2;
	fake_start(2);
	struct waiter w = { .g = main_g, .addr = &word, .val = 1 };
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(allp[0].nfight, 0);
		ck_assert(fake_call(main_g, do_wait, &w));
		ck_assert_int_eq(w.ret, -EAGAIN);
	}
	ck_assert_uint_eq(allp[0].nfight, 1);
}
END_TEST

START_TEST(an_address_that_faults)
{
	fake_start(1);
	struct waiter w = { .g = main_g, .addr = (uint32_t *)16, .val = 0 };
	ck_assert(fake_call(main_g, do_wait, &w));
	ck_assert_int_eq(w.ret, -EFAULT);
}
END_TEST

START_TEST(a_wake_ends_the_wait)
{
	fake_start(1);
	struct waiter *w = waiters(1);
	ck_assert_int_eq(w->g->waitreason, WaitFutex);
	ck_assert_uint_eq(w->g->wait_addr, (uintptr_t)&word);
	ck_assert_int_eq(wake(1), 1);
	ck_assert_int_eq(w->ret, 0);
	ck_assert(bucket_empty(&word));
	ck_assert_int_eq(wake(1), 0);
}
END_TEST

START_TEST(first_come_first_served)
{
	fake_start(1);
	struct waiter *w = waiters(5);
	ck_assert_int_eq(wake(2), 2);
	ck_assert_int_eq(done(w, 5), 2);
	ck_assert_int_eq(w[0].ret, 0);
	ck_assert_int_eq(w[1].ret, 0);
	ck_assert_int_eq(wake(100), 3);
	ck_assert_int_eq(done(w, 5), 5);
}
END_TEST

START_TEST(only_waiters_of_the_address)
{
	fake_start(1);
	/* One bucket for both words, so that the address decides. */
	uint32_t *other = same_bucket(&word);
	struct waiter *w = waiters_on(other, 1, ~0u), *v = waiters(1);
	ck_assert_int_eq(wake(100), 1);
	ck_assert_int_eq(v->ret, 0);
	ck_assert_int_eq(w->ret, RUNNING);
	ck_assert_int_eq(futex_wake((uintptr_t)other, 1, ~0u), 1);
}
END_TEST

START_TEST(bits_must_meet)
{
	fake_start(1);
	struct waiter *a = waiters_on(&word, 1, 1), *b = waiters_on(&word, 1, 2), *c = waiters_on(&word, 1, 3);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 100, 4), 0);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 100, 2), 2);
	run_all();
	ck_assert_int_eq(a->ret, RUNNING);
	ck_assert_int_eq(b->ret, 0);
	ck_assert_int_eq(c->ret, 0);
}
END_TEST

START_TEST(a_timeout)
{
	fake_start(2);
	struct waiter w = { .g = main_g, .addr = &word, .deadline = fake.now + MSEC, .ret = RUNNING };
	fake_call(main_g, do_wait, &w);
	fake_until(fake.now + MSEC - 1);
	ck_assert_int_eq(w.ret, RUNNING);
	fake_until(fake.now + 1);
	ck_assert_int_eq(w.ret, -ETIMEDOUT);
	ck_assert(bucket_empty(&word));
}
END_TEST

START_TEST(a_wake_stops_the_clock)
{
	fake_start(1);
	static struct waiter w;
	w = (struct waiter){ .g = unit_runnable(), .addr = &word, .bitset = ~0u, .deadline = fake.now + MSEC, .ret = RUNNING };
	start(&w);
	ck_assert_int_eq(timers_next(), fake.now + MSEC);
	ck_assert_int_eq(wake(1), 1);
	ck_assert_int_eq(w.ret, 0);
	ck_assert_int_eq(timers_next(), 0);
}
END_TEST

/* A waiter whose time is up but who has not run yet is still queued: the wake goes to the next. */
START_TEST(no_wake_is_lost_on_one_that_timed_out)
{
	fake_start(1);
	struct waiter *w = waiters(2);
	ck_assert(wake_g(w[0].g, unit_seq(w[0].g), WakeTimeout));
	ck_assert_int_eq(wake(1), 1);
	ck_assert_int_eq(w[0].ret, -ETIMEDOUT);
	ck_assert_int_eq(w[1].ret, 0);
	ck_assert(bucket_empty(&word));
}
END_TEST

START_TEST(a_signal)
{
	fake_start(1);
	struct waiter *w = waiters(1);
	ck_assert(wake_g(w->g, unit_seq(w->g), WakeSignal));
	run_all();
	ck_assert_int_eq(w->ret, -EINTR);
	ck_assert(bucket_empty(&word));
}
END_TEST

START_TEST(a_signal_that_came_before)
{
	fake_start(1);
	static struct waiter w;
	w = (struct waiter){ .g = main_g, .addr = &word, .ret = RUNNING };
	store_rlx(&main_g->interrupt, 1);
	ck_assert(fake_call(main_g, do_wait, &w));
	ck_assert_int_eq(w.ret, -EINTR);
	ck_assert(bucket_empty(&word));
}
END_TEST

/* --- a hand-off is one, a broadcast is many --- */

START_TEST(one_that_is_woken_is_next)
{
	fake_start(1);
	struct waiter *w = waiters(1);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 1, ~0u), 1);
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), w->g);
}
END_TEST

START_TEST(of_many_none_is_next)
{
	fake_start(1);
	waiters(3);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 3, ~0u), 3);
	ck_assert_ptr_null(load_rlx(&allp[0].runnext));
	ck_assert_uint_eq(runq_size(&allp[0]), 3);
}
END_TEST

/* The other M was between the two halves of a change when the process was copied. */
START_TEST(a_fork_leaves_no_half_of_a_queue)
{
	fake_start(1);
	struct futexbucket *b = futex_bucket((uintptr_t)&word);
	struct futexw stale = { 0 };
	b->head = NULL;
	b->tail = &stale;
	futex_reset();
	ck_assert_ptr_null(b->tail);
	struct waiter *w = waiters(1);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 1, ~0u), 1);
	(void)w;
}
END_TEST

START_TEST(a_thread_without_an_m_may_wake)
{
	fake_start(2); /* with one P nobody but its holder comes near a queue */
	struct waiter *w = waiters(1);
	fake_on(NULL);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 1, ~0u), 1);
	fake_on(&fake.ms[0]);
	run_all();
	ck_assert_int_eq(w->ret, 0);
}
END_TEST

/* --- waitv --- */

struct vwait {
	struct futexw w[3];
	uint32_t val[3];
	int64_t deadline;
	long ret;
};

static uint32_t words[3];

static void do_waitv(void *arg)
{
	struct vwait *v = arg;
	v->ret = RUNNING;
	for (int i = 0; i < 3; i++)
		v->w[i].addr = (uintptr_t)&words[i];
	v->ret = futex_waitv(getg(), v->w, v->val, 3, v->deadline);
}

static struct vwait v;

static void start_waitv(void)
{
	struct g *g = unit_runnable();
	fake_first(g, do_waitv, &v);
	runq_put(&allp[0], g, true);
	run_all();
}

START_TEST(waitv_says_which_word)
{
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			fake_start(1);
		start_waitv();
		ck_assert_int_eq(v.ret, RUNNING);
		ck_assert_int_eq(futex_wake((uintptr_t)&words[i], 1, ~0u), 1);
		ck_assert_int_eq(futex_wake((uintptr_t)&words[(i + 1) % 3], 1, ~0u), 0);
		run_all();
		ck_assert_int_eq(v.ret, i);
		for (int k = 0; k < 3; k++)
			ck_assert(bucket_empty(&words[k]));
	}
}
END_TEST

START_TEST(waitv_with_another_value)
{
	fake_start(1);
	words[2] = 5;
	start_waitv();
	ck_assert_int_eq(v.ret, -EAGAIN);
	for (int k = 0; k < 3; k++)
		ck_assert(bucket_empty(&words[k]));
}
END_TEST

START_TEST(waitv_with_a_timeout)
{
	fake_start(2);
	v.deadline = fake.now + MSEC;
	start_waitv();
	fake_call(main_g, unit_park, NULL);
	fake_until(fake.now + MSEC);
	ck_assert_int_eq(v.ret, -ETIMEDOUT);
	for (int k = 0; k < 3; k++)
		ck_assert(bucket_empty(&words[k]));
}
END_TEST

START_TEST(left_to_the_kernel)
{
	fake_start(1);
	struct waiter *w = waiters(3);
	start_waitv();
	futex_leave_to_kernel();
	run_all();
	ck_assert_int_eq(done(w, 3), 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(w[i].ret, -EINTR);
	ck_assert_int_eq(v.ret, -EINTR);
	ck_assert(bucket_empty(&word));
	for (int k = 0; k < 3; k++)
		ck_assert(bucket_empty(&words[k]));
	/* One that looked before and comes only now. */
	w = &(struct waiter){ .g = unit_runnable(), .addr = &word, .val = word };
	fake_first(w->g, do_wait, w);
	runq_put(&allp[0], w->g, false);
	run_all();
	ck_assert_int_eq(w->ret, -EINTR);
	ck_assert(bucket_empty(&word));
	futex_reset(); /* the child of a fork is alone */
	waiters(1);
	ck_assert_int_eq(wake(1), 1);
}
END_TEST

UNIT_MAIN("futex", left_to_the_kernel, another_value_does_not_wait, another_value_again_and_again_is_a_fight, an_address_that_faults,
	  a_wake_ends_the_wait, first_come_first_served, only_waiters_of_the_address, bits_must_meet, a_timeout, a_wake_stops_the_clock,
	  no_wake_is_lost_on_one_that_timed_out, a_signal, a_signal_that_came_before, one_that_is_woken_is_next,
	  of_many_none_is_next, a_fork_leaves_no_half_of_a_queue, a_thread_without_an_m_may_wake, waitv_says_which_word, waitv_with_another_value,
	  waitv_with_a_timeout)
