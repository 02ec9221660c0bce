/* test_rule07_syscall.c - rule 7: an M in a real system call keeps its P until sysmon retakes it, 20 µs at the earliest
 * and adaptive to 10 ms; the M that returns without a P queues its G and sleeps on a list. */
#include "unit.h"

static long result;

static void call(void *nr)
{
	long args[6] = { 0 };
	result = blocking_syscall(getg(), (long)nr, args);
}

static void long_call(void *nr)
{
	long args[6] = { 0 };
	result = blocking_syscall_long(getg(), (long)nr, args);
}

START_TEST(a_short_call_keeps_its_p)
{
	fake_start(2);
	uint32_t tick = load_rlx(&allp[0].schedtick);
	fake_call(main_g, call, (void *)35);
	ck_assert_int_eq(fake.ms[0].nr, 35);
	ck_assert_int_eq(main_g->syscall_nr, 35);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Psyscall);
	ck_assert_uint_eq(load_rlx(&main_g->status), Gsyscall);
	ck_assert_ptr_null(m0.p);
	fake_return(&fake.ms[0], 7);
	ck_assert_int_eq(result, 7);
	ck_assert_ptr_eq(m0.p, &allp[0]);
	ck_assert_ptr_eq(allp[0].m, &m0);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Prunning);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
	ck_assert_uint_eq(load_rlx(&allp[0].schedtick), tick);
	ck_assert_uint_eq(load_rlx(&allp[0].syscalltick), 1);
	ck_assert_int_eq(fake.nms, 1);
	ck_assert_int_eq(fake.wakes, 0);
	ck_assert_uint_eq(allp[0].nhandoff, 0);
}
END_TEST

/* sysmon is about to look for the first time. */
static void with_sysmon(int procs)
{
	fake_start(procs);
	sysmon_start();
	fake_settle();
	ck_assert_int_eq(fake.ms[1].state, MAsleep);
}

START_TEST(a_long_call_loses_its_p_to_waiting_work)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	int64_t begin = fake.now;
	fake_call(main_g, call, (void *)35);
	fake_until(begin + 19 * USEC);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Psyscall);
	fake_until(begin + 100 * USEC);
	ck_assert_uint_eq(allp[0].nretake, 1);
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
	ck_assert_ptr_ne(a->m, &m0);
	ck_assert_ptr_eq(a->m->p, &allp[0]);
}
END_TEST

/* It must be the same call at two looks: a P that makes many short ones stays. */
START_TEST(short_calls_in_a_row_are_no_long_one)
{
	with_sysmon(1);
	ready(unit_parked(WaitFutex));
	for (int i = 0; i < 100; i++) {
		fake_call(main_g, call, (void *)35);
		fake_until(fake.now + 15 * USEC);
		fake_return(&fake.ms[0], 0);
		fake_until(fake.now + 10 * USEC);
	}
	ck_assert_uint_eq(allp[0].nretake, 0);
}
END_TEST

START_TEST(without_work_it_keeps_its_p_for_10_ms)
{
	with_sysmon(2);
	fake_until(fake.now + MSEC);
	int64_t begin = fake.now;
	fake_call(main_g, call, (void *)35);
	fake_until(begin + 9 * MSEC);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Psyscall);
	fake_until(begin + 40 * MSEC);
	ck_assert_uint_eq(allp[0].nretake, 1);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 2);
}
END_TEST

/* If no P is idle and nobody spins, the P in a call may be the one that is needed. */
START_TEST(with_all_others_busy_it_goes_earlier)
{
	with_sysmon(2);
	unit_spawn();
	fake_call(main_g, call, (void *)35);
	fake_until(fake.now + MSEC);
	ck_assert_uint_eq(allp[0].nretake, 1);
}
END_TEST

START_TEST(it_returns_to_an_idle_p)
{
	with_sysmon(2);
	fake_call(main_g, call, (void *)35);
	fake_until(fake.now + 50 * MSEC);
	ck_assert_uint_eq(allp[0].nretake, 1);
	uint64_t switches = allp[0].nswitch + allp[1].nswitch;
	fake_return(&fake.ms[0], 1);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
	ck_assert_uint_eq(allp[0].nswitch + allp[1].nswitch, switches);
	ck_assert_ptr_nonnull(m0.p);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 1);
	ck_assert_int_eq(result, 1);
}
END_TEST

START_TEST(it_returns_without_a_p)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	fake_call(main_g, call, (void *)35);
	fake_until(fake.now + MSEC);
	result = 0;
	fake_return(&fake.ms[0], 9);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunnable);
	ck_assert_ptr_eq(sched.runq.head, main_g);
	ck_assert_ptr_eq(sched.midle, &m0);
	ck_assert_int_eq(fake.ms[0].state, MAsleep);
	ck_assert_ptr_null(m0.curg);
	ck_assert_int_eq(result, 0);
	fake_call(a, unit_park, NULL);
	fake_settle();
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
	ck_assert_int_eq(result, 9);
}
END_TEST

START_TEST(a_call_known_to_be_long_hands_its_p_on_at_once)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	fake_call(main_g, long_call, (void *)61);
	ck_assert_uint_eq(allp[0].nhandoff, 1);
	fake_settle();
	ck_assert_ptr_eq(unit_curg(1), a);
	ck_assert_int_eq(fake.now, FAKE_START_NS);
}
END_TEST

/* Also with another P idle, and though nobody has been woken for the G. */
START_TEST(work_in_its_ring_goes_with_it)
{
	fake_start(2);
	struct g *a = unit_runnable();
	runq_put(&allp[0], a, false);
	store_rlx(&sched.lastpoll, 0);
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
	ck_assert_ptr_eq(a->m->p, &allp[0]);
}
END_TEST

START_TEST(with_nothing_to_do_the_p_goes_idle)
{
	fake_start(2);
	unit_spawn();
	store_rlx(&sched.lastpoll, 0); /* somebody watches the network */
	ck_assert_uint_eq(load_rlx(&sched.npidle), 0);
	store_rlx(&sched.nmspinning, 1);
	fake_call(main_g, long_call, (void *)61);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 1);
	ck_assert_int_eq(fake.nms, 2);
}
END_TEST

/* The last P: its timers would run late if no M slept till then. */
START_TEST(the_last_p_leaves_a_watcher)
{
	fake_start(_i + 1);
	struct g *sleeper = unit_parked(WaitSleep);
	timer_add(&sleeper->timer, fake.now + MSEC, timer_wake, sleeper, unit_seq(sleeper));
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	ck_assert_int_eq(fake.ms[1].state, MPolling);
	fake_until(fake.now + MSEC);
	ck_assert_ptr_eq(unit_curg(1), sleeper);
}
END_TEST

START_TEST(a_call_is_restarted_unless_a_signal_is_for_this_g)
{
	fake_start(1);
	result = 0;
	fake_call(main_g, call, (void *)35);
	fake_return(&fake.ms[0], -4);
	ck_assert_int_eq(fake.ms[0].state, MCall);
	ck_assert_int_eq(result, 0);
	store_rlx(&main_g->interrupt, 1);
	fake_return(&fake.ms[0], -4);
	ck_assert_int_eq(fake.ms[0].state, MUser);
	ck_assert_int_eq(result, -4);
}
END_TEST

START_TEST(a_pending_signal_keeps_it_from_starting)
{
	fake_start(1);
	store_rlx(&main_g->interrupt, 1);
	ck_assert(fake_call(main_g, call, (void *)35));
	ck_assert_int_eq(result, -513); /* -ERESTARTNOINTR */
}
END_TEST

/* The one that computes gives way now, not at sysmon's next look. */
START_TEST(and_sysmon_is_told_if_others_compute)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	fake_call(main_g, call, (void *)35);
	fake_until(fake.now + 50 * MSEC);
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
	ck_assert_uint_eq(load_rlx(&a->preempt), 0);
	int64_t begin = fake.now;
	fake_return(&fake.ms[0], 9);
	fake_settle();
	ck_assert_int_eq(fake.now, begin);
	ck_assert_uint_eq(load_rlx(&a->preempt), 1);
}
END_TEST

/* A thousand blocked threads use a thousand M's but never a P. */
START_TEST(many_blocked_calls)
{
	enum { N = 40 };
	fake_start(2);
	for (int i = 0; i < N; i++) {
		struct g *g = unit_runnable();
		fake_first(g, long_call, (void *)61);
		runq_put(&allp[0], g, false);
	}
	fake_call(main_g, unit_yield, NULL);
	fake_settle();
	int calls = 0;
	for (int i = 0; i < fake.nms; i++)
		calls += fake.ms[i].state == MCall;
	ck_assert_int_eq(calls, N);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
	for (int i = 0; i < fake.nms; i++)
		if (fake.ms[i].state == MCall)
			fake_return(&fake.ms[i], 0);
	fake_settle();
	for (uint32_t i = 0; i < g_count(); i++)
		ck_assert_uint_ne(load_rlx(&g_at(i)->status), Gsyscall);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_short_call_keeps_its_p, a_long_call_loses_its_p_to_waiting_work, short_calls_in_a_row_are_no_long_one,
		without_work_it_keeps_its_p_for_10_ms, with_all_others_busy_it_goes_earlier, it_returns_to_an_idle_p,
		it_returns_without_a_p, a_call_known_to_be_long_hands_its_p_on_at_once, work_in_its_ring_goes_with_it,
		with_nothing_to_do_the_p_goes_idle, a_call_is_restarted_unless_a_signal_is_for_this_g,
		a_pending_signal_keeps_it_from_starting, and_sysmon_is_told_if_others_compute, many_blocked_calls,
	};
	int failed = unit_main("rule 7: system calls", tests, nelem(tests));
	return failed | unit_loop("rule 7: on one P and on two", the_last_p_leaves_a_watcher, 2);
}
