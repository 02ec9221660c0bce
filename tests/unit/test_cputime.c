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

/* Its P was taken away, but the call still works, or not. */
START_TEST(a_call_is_what_the_kernel_says)
{
	with_worker();
	pass(10 * MSEC, 4 * MSEC);
	g_setstatus(worker, Grunning, Gsyscall);
	pass(1 * MSEC, 0);
	store_rlx(&worker->retaken, arch_cputicks());
	assert_used(7 * MSEC);
	pass(10 * MSEC, 10 * MSEC);
	assert_used(7 * MSEC);
	pass(10 * MSEC, 3 * MSEC);
	assert_used(14 * MSEC);
}
END_TEST

static void call(void *unused)
{
	long args[6] = { 0 };
	(void)unused;
	blocking_syscall_long(getg(), 61, args);
}

static void main_calls(int64_t ns, int64_t others)
{
	fake_call(main_g, call, NULL);
	pass(ns, others);
	fake_return(&fake.ms[0], 0);
}

START_TEST(a_long_call_counts_when_it_ends)
{
	fake_start(2);
	worker = main_g;
	int64_t before = g_cputime(main_g);
	main_calls(10 * MSEC, 7 * MSEC);
	assert_used(before + 3 * MSEC);
	cputime_filtered();
	main_calls(10 * MSEC, 10 * MSEC);
	assert_used(before + 3 * MSEC);
}
END_TEST

/* May kill who asks the kernel: it is the time that it had a P then. */
START_TEST(with_a_filter_for_calls_nobody_asks_the_kernel)
{
	with_worker();
	cputime_filtered();
	fake.off_cpu = INT64_MAX / 2;
	pass(10 * MSEC, 0);
	assert_used(10 * MSEC);
	g_setstatus(worker, Grunning, Gsyscall);
	store_rlx(&worker->retaken, arch_cputicks());
	pass(10 * MSEC, 0);
	assert_used(10 * MSEC);
}
END_TEST

UNIT_MAIN("CPU time", it_is_the_time_that_it_ran, not_while_others_have_the_cpu, an_idle_m_loses_nothing,
	  what_the_scheduler_used_hides_as_much, not_after_the_next_look, it_never_goes_back, the_main_thread_had_some_before,
	  a_long_call_counts_when_it_ends, a_call_is_what_the_kernel_says, with_a_filter_for_calls_nobody_asks_the_kernel)
