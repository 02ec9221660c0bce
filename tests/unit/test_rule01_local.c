/* test_rule01_local.c - rule 1: a new or readied G goes to the current P's local queue, a ring of 256 plus runnext,
 * which inherits the time slice. */
#include "unit.h"

START_TEST(a_readied_g_is_next)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), a);
	ck_assert_uint_eq(load_rlx(&allp[0].runqtail), 0);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 0);
	ck_assert_uint_eq(load_rlx(&a->status), Grunnable);
}
END_TEST

START_TEST(a_woken_g_is_next)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex);
	ck_assert(wake_g(a, unit_seq(a), WakeReady));
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), a);
}
END_TEST

START_TEST(a_new_g_is_next)
{
	fake_start(1);
	struct g *a = g_new();
	thread_start(a);
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), a);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 0);
	ck_assert_uint_eq(load_rlx(&sched.ngs), 2);
}
END_TEST

START_TEST(new_gs_begin_in_the_order_they_were_made)
{
	fake_start(1);
	struct g *a = g_new(), *b = g_new(), *c = g_new();
	thread_start(a);
	thread_start(b);
	thread_start(c);
	ck_assert_ptr_eq(unit_take(), a);
	ck_assert_ptr_eq(unit_take(), b);
	ck_assert_ptr_eq(unit_take(), c);
	ck_assert_ptr_null(unit_take());
}
END_TEST

START_TEST(a_new_g_queues_behind_a_readied_one)
{
	fake_start(1);
	struct g *woken = unit_parked(WaitFutex), *a = g_new();
	ready(woken);
	thread_start(a);
	ck_assert_ptr_eq(unit_take(), woken);
	ck_assert_ptr_eq(unit_take(), a);
}
END_TEST

START_TEST(the_next_one_moves_the_former_to_the_end_of_the_ring)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex), *b = unit_parked(WaitFutex), *c = unit_parked(WaitFutex);
	ready(a);
	ready(b);
	ready(c);
	ck_assert_uint_eq(runq_size(&allp[0]), 3);
	ck_assert_ptr_eq(unit_take(), c);
	ck_assert_ptr_eq(unit_take(), a);
	ck_assert_ptr_eq(unit_take(), b);
	ck_assert_ptr_null(unit_take());
}
END_TEST

START_TEST(the_ring_is_first_in_first_out)
{
	struct g *g[RUNQ_LEN];
	fake_start(1);
	/* Three rounds, so that the indices wrap. */
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < RUNQ_LEN - 1; i++)
			runq_put(&allp[0], g[i] = unit_runnable(), false);
		for (int i = 0; i < RUNQ_LEN - 1; i++)
			ck_assert_ptr_eq(unit_take(), g[i]);
	}
	ck_assert(runq_empty(&allp[0]));
}
END_TEST

START_TEST(the_ring_holds_256)
{
	fake_start(1);
	for (int i = 0; i < 256; i++)
		runq_put(&allp[0], unit_runnable(), false);
	runq_put(&allp[0], unit_runnable(), true);
	ck_assert_uint_eq(runq_size(&allp[0]), 257);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 0);
}
END_TEST

static void wake_and_park(void *g)
{
	ck_assert(wake_g(g, unit_seq(g), WakeReady));
	unit_park(NULL);
}

/* A pair that wakes each other counts as one: the P's tick stands still, and sysmon sees it. */
START_TEST(runnext_inherits_the_time_slice)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex), *b = main_g;
	uint32_t tick = load_rlx(&allp[0].schedtick);
	for (int i = 0; i < 10; i++) {
		struct g *other = unit_curg(0) == a ? b : a;
		fake_call(unit_curg(0), wake_and_park, other);
		ck_assert_ptr_eq(unit_curg(0), other);
	}
	ck_assert_uint_eq(load_rlx(&allp[0].schedtick), tick);
	ck_assert_uint_eq(allp[0].nswitch, 10);
}
END_TEST

START_TEST(the_ring_does_not_inherit)
{
	fake_start(1);
	runq_put(&allp[0], unit_runnable(), false);
	uint32_t tick = load_rlx(&allp[0].schedtick);
	fake_call(main_g, unit_park, NULL);
	ck_assert_uint_eq(load_rlx(&allp[0].schedtick), tick + 1);
}
END_TEST

START_TEST(without_an_m_the_global_queue)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex);
	fake_on(NULL);
	ready(a);
	ck_assert_ptr_eq(sched.runq.head, a);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
	ck_assert(runq_empty(&allp[0]));
}
END_TEST

START_TEST(many_at_once_keep_their_order)
{
	struct gqueue q = { 0 };
	struct g *g[5];
	fake_start(1);
	for (int i = 0; i < 5; i++)
		gqueue_push(&q, g[i] = unit_parked(WaitFutex));
	ready_list(&q);
	ck_assert_uint_eq(allp[0].nready, 5);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_eq(unit_take(), g[i]);
}
END_TEST

UNIT_MAIN("rule 1: local queue", a_readied_g_is_next, a_woken_g_is_next, a_new_g_is_next,
	  new_gs_begin_in_the_order_they_were_made, a_new_g_queues_behind_a_readied_one,
	  the_next_one_moves_the_former_to_the_end_of_the_ring, the_ring_is_first_in_first_out, the_ring_holds_256,
	  runnext_inherits_the_time_slice, the_ring_does_not_inherit,
	  without_an_m_the_global_queue, many_at_once_keep_their_order)
