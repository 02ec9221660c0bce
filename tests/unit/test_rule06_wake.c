/* test_rule06_wake.c - rule 6: a G that becomes runnable wakes one idle P when nobody is spinning. */
#include "unit.h"

START_TEST(a_ready_wakes_one)
{
	fake_start(4);
	ready(unit_parked(WaitFutex));
	ck_assert_int_eq(fake.nms, 2);
	ck_assert(fake.ms[1].m->spinning);
	ck_assert_ptr_nonnull(fake.ms[1].m->nextp);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 1);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 2);
	ck_assert_uint_eq(allp[0].nwakep, 1);
}
END_TEST

START_TEST(a_new_g_wakes_one)
{
	fake_start(4);
	thread_start(g_new());
	ck_assert_int_eq(fake.nms, 2);
}
END_TEST

START_TEST(none_while_somebody_spins)
{
	fake_start(4);
	for (int i = 0; i < 10; i++)
		ready(unit_parked(WaitFutex));
	ck_assert_int_eq(fake.nms, 2);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 1);
}
END_TEST

START_TEST(a_second_wake_finds_the_spinner)
{
	fake_start(4);
	wakep();
	wakep();
	ck_assert_int_eq(fake.nms, 2);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 1);
}
END_TEST

START_TEST(none_while_no_p_is_idle)
{
	fake_start(1);
	ready(unit_parked(WaitFutex));
	ck_assert_int_eq(fake.nms, 1);
	ck_assert_int_eq(fake.wakes, 0);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
}
END_TEST

START_TEST(one_that_found_work_wakes_the_next)
{
	fake_start(4);
	struct g *g[6];
	for (int i = 0; i < 6; i++)
		ready(g[i] = unit_parked(WaitFutex));
	fake_settle();
	fake_until(fake.now + MSEC);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(unit_curg(i));
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
}
END_TEST

START_TEST(an_idle_m_is_used_again)
{
	fake_start(2);
	struct g *other = unit_spawn();
	fake.net_waiting = true; /* so that the note, not the netpoller, is where M 1 sleeps */
	store_rlx(&sched.lastpoll, 0);
	fake_call(other, unit_exit, NULL);
	fake_settle();
	ck_assert_ptr_eq(sched.midle, fake.ms[1].m);
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	ck_assert_int_eq(fake.nms, 2);
	ck_assert_ptr_null(sched.midle);
	ck_assert(fake.ms[1].woken);
	fake_until(fake.now + MSEC);
	ck_assert_ptr_eq(unit_curg(1), a);
}
END_TEST

START_TEST(each_g_of_a_list_counts)
{
	struct gqueue q = { 0 };
	fake_start(4);
	fake_on(NULL);
	for (int i = 0; i < 3; i++) {
		fake_on(&fake.ms[0]);
		struct g *g = unit_parked(WaitIORead);
		gqueue_push(&q, g);
	}
	fake_on(NULL);
	ready_list(&q); /* from a thread without a P: all go to the global queue */
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 3);
	ck_assert_int_eq(fake.nms, 4);
	fake_settle();
	for (int i = 1; i < 4; i++)
		ck_assert_ptr_nonnull(unit_curg(i));
}
END_TEST

/* --- the exception: alone in runnext while sysmon looks often --- */

START_TEST(alone_in_runnext_it_waits_for_its_p)
{
	fake_start(4);
	store_rlx(&sched.sysmonfast, 1);
	ready(unit_parked(WaitFutex));
	ck_assert_int_eq(fake.nms, 1);
	ck_assert_uint_eq(allp[0].ndeferred, 1);
	ready(unit_parked(WaitFutex)); /* now one of them lies in the ring */
	ck_assert_int_eq(fake.nms, 2);
}
END_TEST

/* The readier computes on: sysmon wakes an M for the G that waits. */
START_TEST(sysmon_sees_to_a_g_that_waits_in_runnext)
{
	fake_start(2);
	sysmon_start();
	fake_until(fake.now + MSEC);
	struct g *a = unit_parked(WaitFutex);
	store_rlx(&sched.sysmonfast, 1);
	ready(a);
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), a);
	fake_until(fake.now + MSEC);
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
	ck_assert_ptr_ne(a->m, &m0);
}
END_TEST

static void ready_and_park(void *g)
{
	ready(g);
	unit_park(NULL);
}

START_TEST(a_hand_off_wakes_nobody)
{
	fake_start(2);
	sysmon_start();
	fake_settle();
	store_rlx(&sched.sysmonfast, 1);
	int ms = fake.nms;
	struct g *a = unit_parked(WaitFutex);
	fake_call(main_g, ready_and_park, a);
	ck_assert_ptr_eq(unit_curg(0), a);
	ck_assert_int_eq(fake.nms, ms);
}
END_TEST

/* --- nothing is overlooked by an M that goes to sleep --- */

/* M 0 has visited P 2 and waits for P 1's runnext; then P 2 gets a G, for which nobody is woken, since M 0 spins. */
START_TEST(work_that_appears_behind_a_thief)
{
	for (uint32_t seed = 0; seed < 24; seed++) {
		if (seed == 0) {
			fake_start(3);
			unit_spawn();
			unit_spawn();
			store_rlx(&sched.sysmonfast, 1);
		}
		struct g *first = unit_curg(0), *next = unit_runnable(), *g = unit_parked(WaitFutex);
		m0.fastrand[0] = seed * 2654435761u | 1;
		runq_put(&allp[1], next, true);
		fake_call(first, unit_park, NULL);
		ck_assert_int_eq(fake.ms[0].state, MAsleep);
		struct fake_m *owner = fake_of(allp[1].m);
		fake_call(owner->m->curg, unit_exit, NULL);
		fake_on(fake_of(allp[2].m));
		ready(g);
		fake_on(&fake.ms[0]);
		ck_assert_int_eq(fake.nms, 3);
		/* A thief of runnext looks twice. */
		fake_until(fake.now + 10 * USEC);
		ck_assert_msg(unit_curg(0) == g, "seed %u: the G is not run", seed);
	}
}
END_TEST

START_TEST(work_for_the_sleeper_in_the_netpoller)
{
	fake_start(2);
	struct g *other = unit_spawn(), *a = unit_parked(WaitFutex);
	fake_call(other, unit_park, NULL);
	ck_assert_int_eq(fake.ms[1].state, MPolling);
	ready(a);
	fake_until(fake.now + MSEC);
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
}
END_TEST

/* It was to give way, and parked before it came to that. */
START_TEST(who_was_asked_to_give_way_and_parked_is_woken_like_others)
{
	fake_start(1);
	for (int i = 0; i < 2; i++) {
		struct g *g = unit_parked(WaitFutex);
		store_rlx(&g->preempt, 1);
		if (i == 0)
			ready(g);
		else
			ready_last(g);
		ck_assert_uint_eq(load_rlx(&g->preempt), 0);
	}
}
END_TEST

UNIT_MAIN("rule 6: waking", who_was_asked_to_give_way_and_parked_is_woken_like_others, a_ready_wakes_one, a_new_g_wakes_one,
	  none_while_somebody_spins, a_second_wake_finds_the_spinner, none_while_no_p_is_idle,
	  one_that_found_work_wakes_the_next, an_idle_m_is_used_again, each_g_of_a_list_counts,
	  alone_in_runnext_it_waits_for_its_p, sysmon_sees_to_a_g_that_waits_in_runnext, a_hand_off_wakes_nobody,
	  work_that_appears_behind_a_thief, work_for_the_sleeper_in_the_netpoller)
