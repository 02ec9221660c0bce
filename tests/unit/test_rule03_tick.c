/* test_rule03_tick.c - rule 3: every 61st scheduling tick of a P looks at the global queue first. */
#include "unit.h"

static void globally(struct g *g)
{
	lock(&sched.lock);
	globrunq_put_locked(g);
	unlock(&sched.lock);
}

START_TEST(each_61st_tick_is_the_global_queue_s)
{
	fake_start(1);
	for (uint32_t tick = 1; tick <= 4 * 61; tick++) {
		struct g *local = unit_runnable(), *global = unit_runnable();
		runq_put(&allp[0], local, false);
		globally(global);
		store_rlx(&allp[0].schedtick, tick);
		ck_assert_ptr_eq(unit_take(), tick % 61 == 0 ? global : local);
		store_rlx(&allp[0].schedtick, 1);
		ck_assert_ptr_eq(unit_take(), tick % 61 == 0 ? local : global);
	}
}
END_TEST

/* One G, not a share: the local ones have waited too. */
START_TEST(it_takes_one)
{
	fake_start(1);
	struct g *a = unit_runnable(), *b = unit_runnable(), *local = unit_runnable();
	globally(a);
	globally(b);
	runq_put(&allp[0], local, false);
	store_rlx(&allp[0].schedtick, 61);
	ck_assert_ptr_eq(unit_take(), a);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
	ck_assert_uint_eq(runq_size(&allp[0]), 1);
}
END_TEST

START_TEST(two_that_yield_do_not_keep_out_a_third)
{
	fake_start(1);
	struct g *a = unit_runnable(), *third = unit_runnable();
	runq_put(&allp[0], a, false);
	globally(third);
	int slices = 0;
	for (; unit_curg(0) != third && slices < 1000; slices++)
		fake_call(unit_curg(0), unit_yield, NULL);
	ck_assert_int_le(slices, 61);
}
END_TEST

/* A pair that hands the P to and fro shares a slice, so ticks do not count it; sysmon's preemption does. */
START_TEST(every_new_slice_is_a_tick)
{
	fake_start(1);
	runq_put(&allp[0], unit_runnable(), false);
	uint32_t tick = load_rlx(&allp[0].schedtick);
	for (int i = 0; i < 10; i++)
		fake_call(unit_curg(0), unit_yield, NULL);
	ck_assert_uint_eq(load_rlx(&allp[0].schedtick), tick + 10);
}
END_TEST

UNIT_MAIN("rule 3: every 61st tick", each_61st_tick_is_the_global_queue_s, it_takes_one,
	  two_that_yield_do_not_keep_out_a_third, every_new_slice_is_a_tick)
