/* test_futex_pi.c - LOCK_PI, TRYLOCK_PI, UNLOCK_PI, the requeue pair, and owners that die. */
#include "waiters.h"
#include <linux/futex.h>

static uint32_t pi;

struct locker {
	struct g *g;
	int64_t deadline;
	uint32_t *cond; /* wait_requeue_pi: waits here first */
	long ret;
};

static void do_lock(void *arg)
{
	struct locker *l = arg;
	l->ret = RUNNING;
	if (l->cond)
		l->ret = futex_wait_requeue_pi(getg(), (uintptr_t)l->cond, *l->cond, ~0u, (uintptr_t)&pi, l->deadline);
	else
		l->ret = futex_lock_pi(getg(), (uintptr_t)&pi, l->deadline, false);
}

static void begin(struct locker *l)
{
	l->g = unit_runnable();
	fake_first(l->g, do_lock, l);
	runq_put(&allp[0], l->g, false);
	run_all();
}

static long do_unlock(struct g *g)
{
	long r = futex_unlock_pi(g, (uintptr_t)&pi);
	run_all();
	return r;
}

static long take(struct g *g, bool try)
{
	return futex_lock_pi(g, (uintptr_t)&pi, 0, try);
}

static uint32_t owner(void)
{
	return pi & FUTEX_TID_MASK;
}

START_TEST(a_free_lock_is_taken)
{
	fake_start(1);
	ck_assert_int_eq(take(main_g, false), 0);
	ck_assert_uint_eq(pi, main_g->tid);
	ck_assert(bucket_empty(&pi));
}
END_TEST

START_TEST(an_owner_cannot_take_it_again)
{
	fake_start(1);
	take(main_g, false);
	ck_assert_int_eq(take(main_g, false), -EDEADLK);
	ck_assert_int_eq(take(main_g, true), -EDEADLK);
}
END_TEST

START_TEST(trylock_does_not_wait)
{
	fake_start(1);
	take(main_g, false);
	struct g *other = unit_runnable();
	ck_assert_int_eq(take(other, true), -EAGAIN);
	ck_assert_uint_eq(pi, main_g->tid);
	ck_assert_int_eq(do_unlock(main_g), 0);
	ck_assert_int_eq(take(other, true), 0);
	ck_assert_uint_eq(pi, other->tid);
}
END_TEST

START_TEST(only_the_owner_unlocks)
{
	fake_start(1);
	take(main_g, false);
	ck_assert_int_eq(futex_unlock_pi(unit_runnable(), (uintptr_t)&pi), -EPERM);
	ck_assert_int_eq(futex_unlock_pi(main_g, 16), -EFAULT);
	ck_assert_int_eq(do_unlock(main_g), 0);
	ck_assert_uint_eq(pi, 0);
}
END_TEST

START_TEST(an_owner_that_does_not_exist)
{
	fake_start(1);
	pi = 0x1fffffff;
	ck_assert_int_eq(take(main_g, false), -ESRCH);
}
END_TEST

START_TEST(it_is_handed_over_in_order)
{
	struct locker l[3] = { 0 };
	fake_start(1);
	take(main_g, false);
	for (int i = 0; i < 3; i++) {
		begin(&l[i]);
		ck_assert_int_eq(l[i].ret, RUNNING);
		ck_assert_uint_eq(pi, main_g->tid | FUTEX_WAITERS);
	}
	ck_assert_int_eq(l[0].g->waitreason, WaitFutexPI);
	struct g *holder = main_g;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(do_unlock(holder), 0);
		ck_assert_int_eq(l[i].ret, 0);
		ck_assert_uint_eq(pi, l[i].g->tid | (i < 2 ? FUTEX_WAITERS : 0));
		holder = l[i].g;
	}
	ck_assert_int_eq(do_unlock(holder), 0);
	ck_assert_uint_eq(pi, 0);
	ck_assert(bucket_empty(&pi));
}
END_TEST

/* The word names the new owner before that runs. */
START_TEST(nobody_sees_it_free_on_the_way)
{
	struct locker l = { 0 };
	fake_start(1);
	take(main_g, false);
	begin(&l);
	ck_assert_int_eq(futex_unlock_pi(main_g, (uintptr_t)&pi), 0);
	ck_assert_int_eq(l.ret, RUNNING);
	ck_assert_uint_eq(owner(), l.g->tid);
	ck_assert_int_eq(take(main_g, true), -EAGAIN);
}
END_TEST

START_TEST(a_timeout)
{
	static struct locker l;
	fake_start(2);
	take(main_g, false);
	l.deadline = fake.now + MSEC;
	begin(&l);
	fake_call(main_g, unit_park, NULL);
	fake_until(fake.now + MSEC);
	ck_assert_int_eq(l.ret, -ETIMEDOUT);
	ck_assert_uint_eq(owner(), main_g->tid);
	ck_assert(bucket_empty(&pi));
}
END_TEST

START_TEST(one_that_timed_out_does_not_get_it)
{
	struct locker l[2] = { 0 };
	fake_start(1);
	take(main_g, false);
	begin(&l[0]);
	begin(&l[1]);
	ck_assert(wake_g(l[0].g, unit_seq(l[0].g), WakeTimeout));
	ck_assert_int_eq(do_unlock(main_g), 0);
	ck_assert_int_eq(l[0].ret, -ETIMEDOUT);
	ck_assert_int_eq(l[1].ret, 0);
	ck_assert_uint_eq(owner(), l[1].g->tid);
}
END_TEST

START_TEST(the_last_that_timed_out_leaves_it_free)
{
	struct locker l = { 0 };
	fake_start(1);
	take(main_g, false);
	begin(&l);
	ck_assert(wake_g(l.g, unit_seq(l.g), WakeTimeout));
	ck_assert_int_eq(do_unlock(main_g), 0);
	ck_assert_uint_eq(pi, 0);
}
END_TEST

START_TEST(a_dead_owner_s_lock)
{
	struct locker l = { 0 };
	fake_start(1);
	take(main_g, false);
	begin(&l);
	futex_pi_owner_died((uintptr_t)&pi);
	run_all();
	ck_assert_int_eq(l.ret, 0);
	ck_assert_uint_eq(pi, l.g->tid | FUTEX_OWNER_DIED);
}
END_TEST

START_TEST(a_dead_owner_s_lock_without_waiters)
{
	fake_start(1);
	take(main_g, false);
	futex_pi_owner_died((uintptr_t)&pi);
	ck_assert_uint_eq(pi, FUTEX_OWNER_DIED);
	ck_assert_int_eq(take(main_g, false), 0);
	ck_assert_uint_eq(pi, main_g->tid | FUTEX_OWNER_DIED);
}
END_TEST

/* A plain WAKE does not free one that waits for a lock. */
START_TEST(a_plain_wake_passes_them_by)
{
	struct locker l = { 0 };
	fake_start(1);
	take(main_g, false);
	begin(&l);
	ck_assert_int_eq(futex_wake((uintptr_t)&pi, 100, ~0u), 0);
	ck_assert_int_eq(futex_requeue((uintptr_t)&pi, (uintptr_t)&word, 1, 1, NULL), 0);
	ck_assert_int_eq(l.ret, RUNNING);
}
END_TEST

/* --- condition variables: wait_requeue_pi and cmp_requeue_pi --- */

static long move(uint32_t n, uint32_t cmp)
{
	long r = futex_cmp_requeue_pi((uintptr_t)&word, (uintptr_t)&pi, n, cmp);
	run_all();
	return r;
}

START_TEST(the_first_gets_a_free_lock_the_others_queue)
{
	struct locker l[3] = { { .cond = &word }, { .cond = &word }, { .cond = &word } };
	fake_start(1);
	for (int i = 0; i < 3; i++)
		begin(&l[i]);
	ck_assert_int_eq(futex_wake((uintptr_t)&word, 100, ~0u), 0);
	ck_assert_int_eq(move(100, 0), 3);
	ck_assert_int_eq(l[0].ret, 0);
	ck_assert_uint_eq(owner(), l[0].g->tid);
	ck_assert_int_eq(l[1].ret, RUNNING);
	ck_assert_int_eq(do_unlock(l[0].g), 0);
	ck_assert_int_eq(l[1].ret, 0);
	ck_assert_int_eq(do_unlock(l[1].g), 0);
	ck_assert_int_eq(l[2].ret, 0);
	ck_assert_int_eq(do_unlock(l[2].g), 0);
	ck_assert_uint_eq(pi, 0);
}
END_TEST

START_TEST(a_held_lock_is_waited_for)
{
	struct locker l = { .cond = &word };
	fake_start(1);
	begin(&l);
	take(main_g, false);
	ck_assert_int_eq(move(0, 0), 1);
	ck_assert_int_eq(l.ret, RUNNING);
	ck_assert_uint_eq(pi, main_g->tid | FUTEX_WAITERS);
	ck_assert_int_eq(do_unlock(main_g), 0);
	ck_assert_int_eq(l.ret, 0);
}
END_TEST

START_TEST(another_value)
{
	struct locker l = { .cond = &word };
	fake_start(1);
	begin(&l);
	ck_assert_int_eq(move(0, 1), -EAGAIN);
	ck_assert_int_eq(l.ret, RUNNING);
}
END_TEST

START_TEST(waiters_of_another_kind)
{
	fake_start(1);
	waiters(1);
	ck_assert_int_eq(move(0, 0), -EINVAL);
	ck_assert_int_eq(futex_wait_requeue_pi(main_g, (uintptr_t)&pi, 0, ~0u, (uintptr_t)&pi, 0), -EINVAL);
	ck_assert_int_eq(futex_wait_requeue_pi(main_g, (uintptr_t)&word, 0, 0, (uintptr_t)&pi, 0), -EINVAL);
}
END_TEST

START_TEST(a_signal_before_the_move)
{
	struct locker l = { .cond = &word };
	fake_start(1);
	begin(&l);
	ck_assert(wake_g(l.g, unit_seq(l.g), WakeSignal));
	run_all();
	ck_assert_int_eq(l.ret, -EAGAIN);
	ck_assert_int_eq(move(0, 0), 0);
}
END_TEST

/* Its time is over, but it has not run yet when the lock is given to it. */
START_TEST(one_that_timed_out_before_the_move)
{
	struct locker l[2] = { { .cond = &word }, { .cond = &word } };
	fake_start(1);
	begin(&l[0]);
	begin(&l[1]);
	ck_assert(wake_g(l[0].g, unit_seq(l[0].g), WakeTimeout));
	ck_assert_int_eq(futex_cmp_requeue_pi((uintptr_t)&word, (uintptr_t)&pi, 100, 0), 1);
	run_all();
	ck_assert_int_eq(l[0].ret, -ETIMEDOUT);
	ck_assert_int_eq(l[1].ret, 0);
	ck_assert_uint_eq(owner(), l[1].g->tid);
	ck_assert_int_eq(do_unlock(l[1].g), 0);
	ck_assert_uint_eq(pi, 0);
}
END_TEST

UNIT_MAIN("futex: PI", a_free_lock_is_taken, an_owner_cannot_take_it_again, trylock_does_not_wait,
	  only_the_owner_unlocks, an_owner_that_does_not_exist, it_is_handed_over_in_order,
	  nobody_sees_it_free_on_the_way, a_timeout, one_that_timed_out_does_not_get_it,
	  the_last_that_timed_out_leaves_it_free, a_dead_owner_s_lock, a_dead_owner_s_lock_without_waiters,
	  a_plain_wake_passes_them_by, the_first_gets_a_free_lock_the_others_queue, a_held_lock_is_waited_for,
	  another_value, waiters_of_another_kind, a_signal_before_the_move,
	  one_that_timed_out_before_the_move)
