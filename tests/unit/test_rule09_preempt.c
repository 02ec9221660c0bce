/* test_rule09_preempt.c - rule 9, the scheduler's half: a G that is preempted goes to the global queue, its stack as it
 * is, and goes on wherever it is taken up. The signal handler's half is in test_rule09_handler.c. */
#include "unit.h"

static struct m *went_on_with;

static void be_preempted(void *unused)
{
	(void)unused;
	went_on_with = NULL;
	preempt_park();
	went_on_with = getm();
}

START_TEST(asking_sets_the_flag_and_kicks_the_m)
{
	fake_start(2);
	struct g *g = unit_spawn();
	ck_assert(preempt_one(g->m->p));
	ck_assert_uint_eq(load_rlx(&g->preempt), 1);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 0);
	ck_assert_int_eq(fake.kicks, 1);
	ck_assert_ptr_eq(fake.kicked, g->m);
	ck_assert_uint_eq(g->m->p->npreempt, 1);
}
END_TEST

START_TEST(an_idle_p_cannot_be_asked)
{
	fake_start(2);
	ck_assert(!preempt_one(&allp[1]));
	ck_assert_int_eq(fake.kicks, 0);
}
END_TEST

START_TEST(the_g_goes_to_the_end_of_the_global_queue)
{
	fake_start(1);
	struct g *a = unit_runnable(), *b = unit_runnable();
	runq_put(&allp[0], a, false);
	lock(&sched.lock);
	store_rlx(&b->preempt, 1);
	globrunq_put_locked(b);
	unlock(&sched.lock);
	store_rlx(&main_g->preempt, 1);
	store_rlx(&allp[0].schedtick, 1);
	ck_assert(!fake_call(main_g, be_preempted, NULL));
	ck_assert_ptr_eq(unit_curg(0), a);
	ck_assert_ptr_eq(sched.usedup.head, b);
	ck_assert_ptr_eq(sched.usedup.tail, main_g);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunnable);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1); /* sysmon sees by it that its slice is over */
}
END_TEST

START_TEST(it_goes_on_with_another_m)
{
	fake_start(2);
	struct g *other = unit_spawn(), *a = unit_runnable();
	runq_put(&allp[0], a, false);
	store_rlx(&allp[0].schedtick, 1);
	fake_call(main_g, be_preempted, NULL);
	ck_assert_ptr_eq(unit_curg(0), a);
	ck_assert_ptr_null(went_on_with);
	struct m *m = other->m;
	fake_call(other, unit_park, NULL);
	ck_assert_ptr_eq(went_on_with, m);
	ck_assert_ptr_eq(main_g->m, m);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
}
END_TEST

/* The request is for the slice in which it was made. */
START_TEST(a_new_run_begins_without_a_request)
{
	fake_start(1);
	store_rlx(&main_g->preempt, 1);
	runq_put(&allp[0], unit_runnable(), false);
	fake_call(main_g, unit_yield, NULL);
	fake_call(unit_curg(0), unit_yield, NULL);
	ck_assert_ptr_eq(unit_curg(0), main_g);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 0);
}
END_TEST

/* sysmon, the handler and the queue together: a G that never gives up its P does not keep out the others. */
START_TEST(a_spinning_g_loses_its_p_within_20_ms)
{
	fake_start(1);
	sysmon_start();
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	store_rlx(&allp[0].schedtick, 1); /* not the global queue's tick */
	int64_t begin = fake.now;
	while (!fake.kicks && fake.now < begin + 100 * MSEC)
		fake_until(fake.now + 100 * USEC);
	fake_call(main_g, be_preempted, NULL); /* what the handler does */
	ck_assert_ptr_eq(unit_curg(0), a);
	ck_assert_int_le(fake.now - begin, 20 * MSEC);
}
END_TEST

UNIT_MAIN("rule 9: preemption", asking_sets_the_flag_and_kicks_the_m, an_idle_p_cannot_be_asked,
	  the_g_goes_to_the_end_of_the_global_queue, it_goes_on_with_another_m, a_new_run_begins_without_a_request,
	  a_spinning_g_loses_its_p_within_20_ms)
