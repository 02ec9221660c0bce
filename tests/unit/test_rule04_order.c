/* test_rule04_order.c - rule 4: local queue, global queue (a fair share), netpoller without blocking, then stealing. */
#include "unit.h"

static void globally(struct g *g)
{
	lock(&sched.lock);
	globrunq_put_locked(g);
	unlock(&sched.lock);
}

static void give_away(void *unused)
{
	(void)unused;
	gosched();
}

static void nothing(struct g *g, uint32_t seq)
{
	(void)g;
	(void)seq;
}

START_TEST(local_global_network_others)
{
	fake_start(2);
	struct g *other = unit_spawn();
	struct g *stolen = unit_runnable(), *net = unit_parked(WaitIORead), *global = unit_runnable();
	struct g *local = unit_runnable(), *next = unit_runnable();
	fake_on(&fake.ms[1]);
	runq_put(other->m->p, stolen, false);
	fake_on(&fake.ms[0]);
	unit_net_event(net);
	globally(global);
	runq_put(&allp[0], local, false);
	runq_put(&allp[0], next, true);
	store_rlx(&allp[0].schedtick, 1);
	allp[0].look_ticks = arch_cputicks();
	ck_assert_ptr_eq(unit_take(), next);
	ck_assert_ptr_eq(unit_take(), local);
	ck_assert_int_eq(fake.net_polls, 0);
	ck_assert_ptr_eq(unit_take(), global);
	ck_assert_int_eq(fake.net_polls, 0);
	ck_assert_uint_eq(runq_size(other->m->p), 1);
	ck_assert_ptr_eq(unit_take(), net);
	ck_assert_int_eq(fake.net_polls, 1);
	ck_assert_int_eq(fake.net_delay, 0);
	ck_assert_uint_eq(load_rlx(&net->status), Grunnable);
	ck_assert_uint_eq(runq_size(other->m->p), 1);
	ck_assert_ptr_eq(unit_take(), stolen);
	ck_assert_ptr_null(unit_take());
}
END_TEST

static struct g *sleeper(uint64_t ticks, int64_t when)
{
	struct g *g = unit_parked(WaitSleep);
	g->wait_ticks = arch_cputicks() - ticks;
	timer_add(&g->timer, when, timer_wake, g, unit_seq(g));
	return g;
}

/* A deadline that has passed is local work, behind what is there already: else two that sleep no time at all would keep the P. */
START_TEST(expired_timers_are_local_work)
{
	fake_start(1);
	struct g *local = unit_runnable(), *global = unit_runnable();
	runq_put(&allp[0], local, false);
	globally(global);
	store_rlx(&allp[0].schedtick, 1);
	struct g *slept = sleeper(0, fake.now + 1);
	fake.now += MSEC;
	ck_assert_ptr_eq(unit_take(), local);
	ck_assert_ptr_eq(unit_take(), slept);
	ck_assert_ptr_eq(unit_take(), global);
}
END_TEST

/* But the first of those that slept for long is next. */
START_TEST(who_slept_for_long_is_next)
{
	fake_start(1);
	struct g *local = unit_runnable(), *next = unit_runnable();
	store_rlx(&allp[0].schedtick, 1);
	struct g *second = sleeper(1 << 22, fake.now + 20), *first = sleeper(1 << 22, fake.now + 10);
	runq_put(&allp[0], local, false);
	runq_put(&allp[0], next, true);
	fake.now += MSEC;
	ck_assert_ptr_eq(unit_take(), first);
	ck_assert_ptr_eq(unit_take(), local);
	ck_assert_ptr_eq(unit_take(), next);
	ck_assert_ptr_eq(unit_take(), second);
}
END_TEST

static struct g *computing_on(int p)
{
	struct g *g = unit_runnable();
	store_rlx(&g->preempt, 1);
	g->lastp = &allp[p];
	g->ready_ticks = arch_cputicks();
	globally(g);
	return g;
}

/* G's that compute stay in the global queue: one that is woken while the first of them runs goes before the second. */
START_TEST(who_is_woken_goes_before_who_computes)
{
	fake_start(1);
	struct g *computing[3], *woken = unit_runnable();
	for (int i = 0; i < 3; i++)
		computing[i] = computing_on(0);
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_eq(unit_take(), computing[0]);
	runq_put(&allp[0], woken, false);
	ck_assert_ptr_eq(unit_take(), woken);
	ck_assert_ptr_eq(unit_take(), computing[1]);
	globally(woken);
	ck_assert_ptr_eq(unit_take(), woken);
	ck_assert_ptr_eq(unit_take(), computing[2]);
}
END_TEST

START_TEST(but_not_for_ever)
{
	fake_start(1);
	struct g *computing = computing_on(0), *woken[2] = { unit_runnable(), unit_runnable() };
	globally(woken[0]);
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_eq(unit_take(), woken[0]);
	globally(woken[1]);
	computing->ready_ticks -= 1 << 28; /* of the order of 0.1 s */
	ck_assert_ptr_eq(unit_take(), computing);
	ck_assert_ptr_eq(unit_take(), woken[1]);
}
END_TEST

/* Where many compute, the first of them has always waited for long: one of them at a time. */
START_TEST(nor_do_they_keep_out_who_is_woken)
{
	fake_start(1);
	struct g *computing[3], *woken[2];
	for (int i = 0; i < 3; i++) {
		computing[i] = computing_on(0);
		computing[i]->ready_ticks -= 1 << 28;
	}
	for (int i = 0; i < 2; i++)
		globally(woken[i] = unit_runnable());
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_eq(unit_take(), computing[0]);
	ck_assert_ptr_eq(unit_take(), woken[0]);
}
END_TEST

START_TEST(at_the_61st_tick_each_has_its_turn)
{
	fake_start(1);
	struct g *computing[2], *woken[2];
	for (int i = 0; i < 2; i++) {
		computing[i] = computing_on(0);
		globally(woken[i] = unit_runnable());
	}
	store_rlx(&allp[0].schedtick, SCHED_TICK_GLOBAL);
	ck_assert_ptr_eq(unit_take(), computing[0]);
	store_rlx(&allp[0].schedtick, 2 * SCHED_TICK_GLOBAL);
	ck_assert_ptr_eq(unit_take(), woken[0]);
	store_rlx(&allp[0].schedtick, 3 * SCHED_TICK_GLOBAL);
	ck_assert_ptr_eq(unit_take(), computing[1]);
}
END_TEST

START_TEST(who_computes_is_no_part_of_a_share)
{
	fake_start(1);
	struct g *g[4];
	for (int i = 0; i < 4; i++)
		if (i == 2)
			g[i] = computing_on(0);
		else
			globally(g[i] = unit_runnable());
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_eq(unit_take(), g[0]);
	ck_assert_uint_eq(runq_size(&allp[0]), 2);
	ck_assert_ptr_eq(sched.usedup.head, g[2]);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
}
END_TEST

/* Its memory is in that CPU's caches. */
START_TEST(who_computes_goes_on_where_it_ran)
{
	fake_start(2);
	struct g *others = computing_on(1), *another = computing_on(1), *own = computing_on(0), *last = computing_on(1);
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_eq(unit_take(), own);
	ck_assert_ptr_eq(unit_take(), others);
	own = computing_on(0);
	ck_assert_ptr_eq(unit_take(), own);
	ck_assert_ptr_eq(sched.usedup.tail, last);
	ck_assert_ptr_eq(unit_take(), another);
	ck_assert_ptr_eq(unit_take(), last);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 0);
	globally(own);
	ck_assert_ptr_eq(unit_take(), own);
}
END_TEST

START_TEST(who_waits_for_another_cpu_does_not_wait_for_ever)
{
	fake_start(2);
	struct g *others = computing_on(1), *own[PASS_MAX + 1];
	for (int i = 0; i <= PASS_MAX; i++)
		own[i] = computing_on(0);
	store_rlx(&allp[0].schedtick, 1);
	for (int i = 0; i < PASS_MAX; i++)
		ck_assert_ptr_eq(unit_take(), own[i]);
	ck_assert_ptr_eq(unit_take(), others);
	ck_assert_ptr_eq(unit_take(), own[PASS_MAX]);
}
END_TEST

START_TEST(who_gave_the_p_away_does_not_get_it_back_before_others)
{
	fake_start(2);
	unit_spawn();
	fake_on(&fake.ms[0]);
	struct g *others = computing_on(1);
	store_rlx(&allp[0].schedtick, 1);
	fake_call(main_g, give_away, NULL);
	ck_assert_ptr_eq(unit_curg(0), others);
	ck_assert_ptr_eq(sched.usedup.head, main_g);
}
END_TEST

START_TEST(every_61st_time_it_is_the_first)
{
	fake_start(2);
	struct g *others = computing_on(1), *own = computing_on(0);
	store_rlx(&allp[0].schedtick, SCHED_TICK_GLOBAL);
	ck_assert_ptr_eq(unit_take(), others);
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_eq(unit_take(), own);
}
END_TEST

START_TEST(a_timer_may_have_another_function)
{
	fake_start(1);
	struct timer t = { 0 };
	timer_add(&t, fake.now - 1, nothing, main_g, 0);
	ck_assert_ptr_null(unit_take());
	ck_assert_ptr_null(load_rlx(&t.pp));
}
END_TEST

static uint32_t share(int procs, int n)
{
	fake_start(procs);
	for (int i = 0; i < n; i++)
		globally(unit_runnable());
	store_rlx(&allp[0].schedtick, 1);
	ck_assert_ptr_nonnull(unit_take());
	/* What it took: one to run and the rest to its own ring. */
	ck_assert_uint_eq(load_rlx(&sched.runqsize) + runq_size(&allp[0]) + 1, (uint32_t)n);
	return runq_size(&allp[0]) + 1;
}

START_TEST(a_fair_share)
{
	ck_assert_uint_eq(share(4, 8), 3);
}
END_TEST

START_TEST(a_share_of_few)
{
	ck_assert_uint_eq(share(4, 1), 1);
}
END_TEST

START_TEST(one_p_takes_all)
{
	ck_assert_uint_eq(share(1, 50), 50);
}
END_TEST

START_TEST(at_most_half_a_ring)
{
	ck_assert_uint_eq(share(2, 1000), RUNQ_LEN / 2);
}
END_TEST

START_TEST(the_share_keeps_its_order)
{
	struct g *g[10];
	fake_start(1);
	for (int i = 0; i < 10; i++)
		globally(g[i] = unit_runnable());
	store_rlx(&allp[0].schedtick, 1);
	for (int i = 0; i < 10; i++)
		ck_assert_ptr_eq(unit_take(), g[i]);
}
END_TEST

START_TEST(the_network_is_asked_only_if_somebody_waits)
{
	fake_start(1);
	ck_assert_ptr_null(unit_take());
	ck_assert_int_eq(fake.net_polls, 0);
	fake.net_waiting = true;
	ck_assert_ptr_null(unit_take());
	ck_assert_int_eq(fake.net_polls, 1);
}
END_TEST

/* An M is blocked there: its events would be taken from it. */
START_TEST(the_network_is_not_asked_while_an_m_sleeps_in_it)
{
	fake_start(1);
	fake.net_waiting = true;
	store_rlx(&sched.lastpoll, 0);
	ck_assert_ptr_null(unit_take());
	ck_assert_int_eq(fake.net_polls, 0);
}
END_TEST

START_TEST(events_of_many_go_to_the_ring)
{
	struct g *g[4];
	fake_start(1);
	for (int i = 0; i < 4; i++)
		unit_net_event(g[i] = unit_parked(WaitIORead));
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_eq(unit_take(), g[i]);
	ck_assert_int_eq(fake.net_polls, 1);
}
END_TEST

/* The last idle M sleeps in the netpoller until the next timer, the others on their notes. */
START_TEST(then_it_sleeps_in_the_netpoller_till_the_next_timer)
{
	fake_start(1);
	struct g *sleeper = unit_parked(WaitSleep);
	timer_add(&sleeper->timer, fake.now + 5 * MSEC, timer_wake, sleeper, unit_seq(sleeper));
	fake_call(main_g, unit_park, NULL);
	ck_assert_int_eq(fake.ms[0].state, MPolling);
	ck_assert_int_eq(fake.net_delay, 5 * MSEC);
	ck_assert_int_eq(load_rlx(&sched.lastpoll), 0);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 1);
	fake_until(fake.now + 5 * MSEC);
	ck_assert_ptr_eq(unit_curg(0), sleeper);
}
END_TEST

START_TEST(a_second_idle_m_sleeps_on_its_note)
{
	fake_start(2);
	struct g *other = unit_spawn();
	fake_call(main_g, unit_park, NULL);
	fake_call(other, unit_park, NULL);
	fake_settle();
	ck_assert_int_eq(fake.ms[0].state, MPolling);
	ck_assert_int_eq(fake.ms[1].state, MAsleep);
	ck_assert_ptr_eq(fake.ms[1].note, &fake.ms[1].m->park);
	ck_assert_ptr_eq(sched.midle, fake.ms[1].m);
}
END_TEST

/* Where G's of a busy P hand off to each other all the time, only the last P to go idle leaves its M in the netpoller. */
START_TEST(beside_hand_offs_nobody_sleeps_in_the_netpoller)
{
	fake_start(2);
	struct g *other = unit_spawn();
	store_rlx(&sched.sysmonfast, 1);
	fake_call(main_g, unit_park, NULL);
	fake_settle();
	ck_assert_int_eq(fake.ms[0].state, MAsleep);
	ck_assert_ptr_eq(fake.ms[0].note, &fake.ms[0].m->park);
	ck_assert_int_ne(load_rlx(&sched.lastpoll), 0);
	fake_call(other, unit_park, NULL);
	fake_settle();
	ck_assert_int_eq(fake.ms[1].state, MPolling);
	ck_assert_int_eq(load_rlx(&sched.lastpoll), 0);
}
END_TEST

START_TEST(when_sysmon_asks_the_network_is_polled_before_local_work)
{
	fake_start(1);
	struct g *local = unit_runnable(), *net = unit_parked(WaitIORead);
	runq_put(&allp[0], local, false);
	unit_net_event(net);
	store_rlx(&allp[0].outside, LookNetwork);
	ck_assert_ptr_eq(unit_take(), local);
	ck_assert_int_eq(fake.net_polls, 1);
	ck_assert_uint_eq(load_rlx(&allp[0].outside), 0);
	ck_assert_ptr_eq(unit_take(), net);
	ck_assert_int_eq(fake.net_polls, 1);
}
END_TEST

UNIT_MAIN("rule 4: search order", beside_hand_offs_nobody_sleeps_in_the_netpoller,
	  when_sysmon_asks_the_network_is_polled_before_local_work, local_global_network_others,
	  expired_timers_are_local_work, who_slept_for_long_is_next, who_is_woken_goes_before_who_computes, but_not_for_ever,
	  nor_do_they_keep_out_who_is_woken, at_the_61st_tick_each_has_its_turn, who_computes_is_no_part_of_a_share,
	  who_computes_goes_on_where_it_ran, who_waits_for_another_cpu_does_not_wait_for_ever,
	  who_gave_the_p_away_does_not_get_it_back_before_others, every_61st_time_it_is_the_first,
	  a_timer_may_have_another_function, a_fair_share, a_share_of_few, one_p_takes_all, at_most_half_a_ring,
	  the_share_keeps_its_order, the_network_is_asked_only_if_somebody_waits,
	  the_network_is_not_asked_while_an_m_sleeps_in_it, events_of_many_go_to_the_ring,
	  then_it_sleeps_in_the_netpoller_till_the_next_timer, a_second_idle_m_sleeps_on_its_note)
