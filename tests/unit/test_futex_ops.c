/* test_futex_ops.c - REQUEUE, CMP_REQUEUE and WAKE_OP. */
#include "waiters.h"
#include <linux/futex.h>

static uint32_t target;

static long requeue(uint32_t nwake, uint32_t nmove, const uint32_t *cmp)
{
	long r = futex_requeue((uintptr_t)&word, (uintptr_t)&target, nwake, nmove, cmp);
	run_all();
	return r;
}

static long wake_target(uint32_t n)
{
	long r = futex_wake((uintptr_t)&target, n, ~0u);
	run_all();
	return r;
}

START_TEST(some_wake_and_some_move)
{
	uint32_t zero = 0;
	fake_start(1);
	struct waiter *w = waiters(5);
	ck_assert_int_eq(requeue(1, 2, &zero), 3);
	ck_assert_int_eq(done(w, 5), 1);
	ck_assert_int_eq(w[0].ret, 0);
	ck_assert_uint_eq(w[1].g->wait_addr, (uintptr_t)&target);
	ck_assert_int_eq(wake_target(100), 2);
	ck_assert_int_eq(w[1].ret, 0);
	ck_assert_int_eq(w[2].ret, 0);
	ck_assert_int_eq(wake(100), 2);
	ck_assert_int_eq(done(w, 5), 5);
	ck_assert(bucket_empty(&word) && bucket_empty(&target));
}
END_TEST

/* The manual says that it counts who woke; the kernel counts both. */
START_TEST(the_plain_form_counts_the_same)
{
	fake_start(1);
	waiters(5);
	ck_assert_int_eq(requeue(2, 2, NULL), 4);
	ck_assert_int_eq(wake_target(100), 2);
}
END_TEST

START_TEST(another_value)
{
	uint32_t one = 1;
	fake_start(1);
	struct waiter *w = waiters(2);
	ck_assert_int_eq(requeue(1, 1, &one), -EAGAIN);
	ck_assert_int_eq(done(w, 2), 0);
	ck_assert_int_eq(wake(2), 2);
}
END_TEST

START_TEST(they_keep_their_order)
{
	fake_start(1);
	struct waiter *w = waiters(4);
	requeue(0, 100, NULL);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(wake_target(1), 1);
		ck_assert_int_eq(w[i].ret, 0);
		ck_assert_int_eq(done(w, 4), i + 1);
	}
}
END_TEST

START_TEST(within_one_bucket)
{
	fake_start(1);
	uint32_t *to = same_bucket(&word);
	waiters(3);
	ck_assert_int_eq(futex_requeue((uintptr_t)&word, (uintptr_t)to, 1, 100, NULL), 3);
	run_all();
	ck_assert_int_eq(wake(100), 0);
	ck_assert_int_eq(futex_wake((uintptr_t)to, 100, ~0u), 2);
}
END_TEST

START_TEST(to_the_same_address)
{
	uint32_t zero = 0;
	fake_start(1);
	waiters(3);
	ck_assert_int_eq(futex_requeue((uintptr_t)&word, (uintptr_t)&word, 1, 2, &zero), 3);
	run_all();
	ck_assert_int_eq(wake(100), 2);
}
END_TEST

/* The waiter finds its bucket by itself. */
START_TEST(a_moved_waiter_may_time_out)
{
	fake_start(1);
	struct waiter *w = waiters(1);
	requeue(0, 1, NULL);
	ck_assert(wake_g(w->g, unit_seq(w->g), WakeTimeout));
	run_all();
	ck_assert_int_eq(w->ret, -ETIMEDOUT);
	ck_assert(bucket_empty(&target));
}
END_TEST

START_TEST(one_that_timed_out_does_not_count)
{
	fake_start(1);
	struct waiter *w = waiters(3);
	ck_assert(wake_g(w[0].g, unit_seq(w[0].g), WakeTimeout));
	ck_assert_int_eq(futex_requeue((uintptr_t)&word, (uintptr_t)&target, 1, 0, NULL), 1);
	run_all();
	ck_assert_int_eq(w[0].ret, -ETIMEDOUT);
	ck_assert_int_eq(w[1].ret, 0);
	ck_assert_int_eq(w[2].ret, RUNNING);
}
END_TEST

/* They are about to be sent to the kernel, queue by queue, and the other queue may have had its turn: nobody would look there. */
START_TEST(none_moves_once_the_kernel_has_all)
{
	fake_start(1);
	struct waiter *w = waiters(2);
	store_rlx(&futex_by_kernel, true);
	ck_assert_int_eq(requeue(0, 2, NULL), -EINTR);
	ck_assert(bucket_empty(&target));
	store_rlx(&futex_by_kernel, false);
	futex_leave_to_kernel();
	run_all();
	ck_assert_int_eq(done(w, 2), 2);
	ck_assert_int_eq(w[1].ret, -EINTR);
}
END_TEST

/* --- WAKE_OP --- */

#define OP(op, arg, cmp, cmparg) FUTEX_OP(FUTEX_OP_##op, arg, FUTEX_OP_CMP_##cmp, cmparg)

static long wake_op(uint32_t op)
{
	long r = futex_wake_op((uintptr_t)&word, (uintptr_t)&target, 1, 1, op);
	run_all();
	return r;
}

START_TEST(what_it_stores)
{
	static const struct {
		uint32_t op, old, new;
	} cases[] = {
		{ OP(SET, 7, EQ, 0), 3, 7 },
		{ OP(ADD, 2, EQ, 0), 3, 5 },
		{ OP(ADD, 0xfff, EQ, 0), 3, 2 }, /* -1 */
		{ OP(OR, 4, EQ, 0), 3, 7 },
		{ OP(ANDN, 1, EQ, 0), 3, 2 },
		{ OP(XOR, 5, EQ, 0), 3, 6 },
		{ OP(SET, 0, EQ, 0), 9, 0 },
		{ OP(OR, 8, EQ, 0) | (uint32_t)FUTEX_OP_OPARG_SHIFT << 28, 1, 257 },
	};
	fake_start(1);
	for (size_t i = 0; i < nelem(cases); i++) {
		target = cases[i].old;
		ck_assert_int_eq(wake_op(cases[i].op), 0);
		ck_assert_msg(target == cases[i].new, "case %zu: %u", i, target);
	}
}
END_TEST

START_TEST(whom_it_wakes)
{
	static const struct {
		uint32_t op, old;
		int both;
	} cases[] = {
		{ OP(SET, 1, EQ, 5), 5, 1 }, { OP(SET, 1, EQ, 5), 6, 0 }, { OP(SET, 1, NE, 5), 6, 1 },
		{ OP(SET, 1, NE, 5), 5, 0 }, { OP(SET, 1, LT, 5), 4, 1 }, { OP(SET, 1, LT, 5), 5, 0 },
		{ OP(SET, 1, LE, 5), 5, 1 }, { OP(SET, 1, LE, 5), 6, 0 }, { OP(SET, 1, GT, 5), 6, 1 },
		{ OP(SET, 1, GT, 5), 5, 0 }, { OP(SET, 1, GE, 5), 5, 1 }, { OP(SET, 1, GE, 5), 4, 0 },
		{ OP(SET, 1, LT, 0), (uint32_t)-1, 1 }, { OP(SET, 1, EQ, 0xfff), (uint32_t)-1, 1 },
	};
	fake_start(1);
	for (size_t i = 0; i < nelem(cases); i++) {
		target = cases[i].old;
		struct waiter *a = waiters(1), *b = waiters_on(&target, 1, ~0u);
		ck_assert_msg(wake_op(cases[i].op) == 1 + cases[i].both, "case %zu", i);
		ck_assert_int_eq(a->ret, 0);
		ck_assert_int_eq(b->ret, cases[i].both ? 0 : RUNNING);
		futex_wake((uintptr_t)&target, 1, ~0u);
		run_all();
	}
}
END_TEST

START_TEST(what_it_refuses)
{
	fake_start(1);
	struct waiter *w = waiters(1);
	ck_assert_int_eq(wake_op(5u << 28), -ENOSYS);
	ck_assert_int_eq(futex_wake_op((uintptr_t)&word, 16, 1, 1, OP(SET, 1, EQ, 0)), -EFAULT);
	ck_assert_int_eq(w->ret, RUNNING);
}
END_TEST

UNIT_MAIN("futex: requeue and wake_op", some_wake_and_some_move, the_plain_form_counts_the_same, another_value,
	  they_keep_their_order, within_one_bucket, to_the_same_address, a_moved_waiter_may_time_out,
	  one_that_timed_out_does_not_count, none_moves_once_the_kernel_has_all, what_it_stores, whom_it_wakes, what_it_refuses)
