/* test_rule02_overflow.c - rule 2: when the ring is full, half of it and the new G go to the global queue in one batch. */
#include "unit.h"

static struct g *g[RUNQ_LEN + 1];

static void overflow(void)
{
	fake_start(1);
	for (int i = 0; i < RUNQ_LEN + 1; i++)
		runq_put(&allp[0], g[i] = unit_runnable(), false);
}

START_TEST(half_of_the_ring_and_the_new_one_leave)
{
	overflow();
	ck_assert_uint_eq(load_rlx(&sched.runqsize), RUNQ_LEN / 2 + 1);
	ck_assert_uint_eq(sched.runq.n, RUNQ_LEN / 2 + 1);
	ck_assert_uint_eq(runq_size(&allp[0]), RUNQ_LEN / 2);
	ck_assert_uint_eq(allp[0].noverflow, 1);
}
END_TEST

START_TEST(the_oldest_leave_in_order_and_the_new_one_is_last)
{
	overflow();
	for (int i = 0; i < RUNQ_LEN / 2; i++)
		ck_assert_ptr_eq(gqueue_pop(&sched.runq), g[i]);
	ck_assert_ptr_eq(gqueue_pop(&sched.runq), g[RUNQ_LEN]);
	ck_assert_ptr_null(gqueue_pop(&sched.runq));
	for (int i = RUNQ_LEN / 2; i < RUNQ_LEN; i++) {
		bool inherit;
		ck_assert_ptr_eq(runq_get(&allp[0], &inherit), g[i]);
	}
}
END_TEST

/* One batch per half ring: the global lock is taken once in 129 times. */
START_TEST(the_next_half_ring_is_free)
{
	overflow();
	for (int i = 0; i < RUNQ_LEN / 2; i++)
		runq_put(&allp[0], unit_runnable(), false);
	ck_assert_uint_eq(allp[0].noverflow, 1);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), RUNQ_LEN / 2 + 1);
	runq_put(&allp[0], unit_runnable(), false);
	ck_assert_uint_eq(allp[0].noverflow, 2);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 2 * (RUNQ_LEN / 2 + 1));
}
END_TEST

START_TEST(what_runnext_displaces_overflows_too)
{
	fake_start(1);
	struct g *a = unit_runnable(), *b = unit_runnable();
	for (int i = 0; i < RUNQ_LEN; i++)
		runq_put(&allp[0], unit_runnable(), false);
	runq_put(&allp[0], a, true);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 0);
	runq_put(&allp[0], b, true);
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), b);
	ck_assert_ptr_eq(sched.runq.tail, a);
}
END_TEST

START_TEST(none_is_lost)
{
	fake_start(1);
	enum { N = 5000 };
	static bool seen[N + 8];
	for (int i = 0; i < N; i++)
		runq_put(&allp[0], unit_runnable(), i % 3 == 0);
	for (int i = 0; i < N; i++) {
		store_rlx(&allp[0].schedtick, (uint32_t)i);
		struct g *t = unit_take();
		ck_assert_ptr_nonnull(t);
		ck_assert(!seen[t->slot]);
		seen[t->slot] = true;
	}
	ck_assert_ptr_null(unit_take());
}
END_TEST

UNIT_MAIN("rule 2: overflow", half_of_the_ring_and_the_new_one_leave, the_oldest_leave_in_order_and_the_new_one_is_last,
	  the_next_half_ring_is_free, what_runnext_displaces_overflows_too, none_is_lost)
