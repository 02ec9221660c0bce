/* test_cputime.c - a G's CPU time: what it ran, without what its kernel thread had no CPU; it never goes back. */
#include "unit.h"

static struct g *worker;

static void run_begins(void)
{
	worker->run_start = arch_cputicks();
}

static void with_worker(void)
{
	fake_start(2);
	worker = unit_spawn();
	cputime_look(worker->m);
	run_begins();
}

/* Time goes by, and other processes have the CPU for a part of it. */
static void pass(int64_t ns, int64_t others)
{
	fake.now += ns;
	fake.off_cpu += others;
}

static void assert_used(int64_t ns)
{
	int64_t used = g_cputime(worker);
	ck_assert_int_ge(used, ns - USEC);
	ck_assert_int_le(used, ns + USEC);
}

START_TEST(it_is_the_time_that_it_ran)
{
	with_worker();
	pass(10 * MSEC, 0);
	assert_used(10 * MSEC);
	fake_call(worker, unit_park, NULL);
	pass(10 * MSEC, 0);
	assert_used(10 * MSEC);
}
END_TEST

START_TEST(not_while_others_have_the_cpu)
{
	with_worker();
	pass(10 * MSEC, 4 * MSEC);
	assert_used(6 * MSEC);
	pass(10 * MSEC, 10 * MSEC);
	assert_used(6 * MSEC);
	fake_call(worker, unit_park, NULL);
	assert_used(6 * MSEC);
	ck_assert_uint_eq(worker->m->counted, 0);
}
END_TEST

START_TEST(an_idle_m_loses_nothing)
{
	with_worker();
	pass(5 * MSEC, 5 * MSEC);
	run_begins();
	pass(10 * MSEC, 4 * MSEC);
	assert_used(6 * MSEC);
}
END_TEST

START_TEST(what_the_scheduler_used_hides_as_much)
{
	with_worker();
	pass(3 * MSEC, 0);
	run_begins();
	pass(10 * MSEC, 4 * MSEC);
	assert_used(9 * MSEC);
}
END_TEST

START_TEST(not_after_the_next_look)
{
	with_worker();
	pass(3 * MSEC, 0);
	cputime_look(worker->m);
	run_begins();
	pass(10 * MSEC, 4 * MSEC);
	assert_used(6 * MSEC);
}
END_TEST

START_TEST(it_never_goes_back)
{
	with_worker();
	pass(10 * MSEC, 0);
	assert_used(10 * MSEC);
	fake.off_cpu += 5 * MSEC;
	assert_used(10 * MSEC);
	pass(6 * MSEC, 0);
	assert_used(11 * MSEC);
}
END_TEST

START_TEST(the_main_thread_had_some_before)
{
	fake.now = FAKE_START_NS;
	fake_start(1);
	ck_assert_int_eq(sched.main_cpu_ns, FAKE_START_NS);
	pass(10 * MSEC, 3 * MSEC);
	worker = main_g;
	assert_used(FAKE_START_NS + 7 * MSEC);
}
END_TEST

UNIT_MAIN("CPU time", it_is_the_time_that_it_ran, not_while_others_have_the_cpu, an_idle_m_loses_nothing,
	  what_the_scheduler_used_hides_as_much, not_after_the_next_look, it_never_goes_back, the_main_thread_had_some_before)
