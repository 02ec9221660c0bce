/* test_rule08_sysmon.c - rule 8: sysmon, an M without a P, retakes P's (see rule 7), preempts a G that ran for 10 ms, and
 * polls the network if nobody did for 10 ms. It looks every 20 µs at first and ever more seldom when idle. */
#include "unit.h"

static struct fake_m *mon;

static void with_sysmon(int procs)
{
	fake_start(procs);
	sysmon_start();
	fake_settle();
	mon = &fake.ms[1];
	ck_assert_int_eq(mon->state, MAsleep);
}

static uint64_t looks(void)
{
	return load_rlx(&sched.nsysmontick);
}

START_TEST(it_has_no_p)
{
	with_sysmon(2);
	for (int i = 0; i < 100; i++) {
		ck_assert_ptr_null(mon->m->p);
		ck_assert_ptr_null(mon->m->curg);
		fake_until(fake.now + 50 * USEC);
	}
	ck_assert_uint_gt(looks(), 0);
}
END_TEST

START_TEST(there_is_one)
{
	with_sysmon(2);
	sysmon_start();
	ck_assert_int_eq(fake.nms, 2);
}
END_TEST

START_TEST(it_looks_after_20_us_at_first)
{
	with_sysmon(1);
	ck_assert_int_eq(mon->until, fake.now + 20 * USEC);
	fake_until(fake.now + MSEC);
	ck_assert_uint_eq(looks(), 50);
}
END_TEST

START_TEST(ever_more_seldom_up_to_10_ms)
{
	with_sysmon(1);
	int64_t last = 0, begin = fake.now;
	while (fake.now < begin + 200 * MSEC) {
		int64_t delay = mon->until - fake.now;
		ck_assert_int_ge(delay, last);
		ck_assert_int_le(delay, 10 * MSEC);
		last = delay;
		fake_until(mon->until);
	}
	ck_assert_int_eq(last, 10 * MSEC);
}
END_TEST

START_TEST(while_all_ps_are_idle_it_sleeps)
{
	with_sysmon(2);
	fake_call(main_g, unit_park, NULL);
	fake_until(fake.now + 100 * MSEC);
	uint64_t n = looks();
	ck_assert_int_lt(mon->until, 0);
	fake_until(fake.now + 10000 * MSEC);
	ck_assert_uint_eq(looks(), n);
}
END_TEST

/* --- preemption --- */

/* One that waits because its own slice is over. */
static struct g *used_up(void)
{
	struct g *g = unit_runnable();
	store_rlx(&g->preempt, 1);
	return g;
}

START_TEST(a_g_that_ran_10_ms_is_preempted_if_another_waits)
{
	with_sysmon(1);
	int64_t begin = fake.now;
	runq_put(&allp[0], used_up(), false);
	fake_until(begin + 10 * MSEC - USEC);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 0);
	ck_assert_int_eq(fake.kicks, 0);
	fake_until(begin + 21 * MSEC);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1);
	ck_assert_ptr_eq(fake.kicked, &m0);
	ck_assert_uint_eq(allp[0].npreempt, 1);
}
END_TEST

START_TEST(again_after_another_10_ms)
{
	with_sysmon(1);
	runq_put(&allp[0], used_up(), false);
	fake_until(fake.now + 100 * MSEC);
	ck_assert_uint_ge(allp[0].npreempt, 5);
	ck_assert_uint_le(allp[0].npreempt, 10);
}
END_TEST

START_TEST(not_if_nobody_waits)
{
	with_sysmon(1);
	fake_until(fake.now + 1000 * MSEC);
	ck_assert_int_eq(fake.kicks, 0);
	ck_assert_uint_eq(allp[0].npreempt, 0);
}
END_TEST

START_TEST(for_a_g_on_the_global_queue_too)
{
	with_sysmon(1);
	struct g *a = used_up();
	lock(&sched.lock);
	globrunq_put_locked(a);
	unlock(&sched.lock);
	fake_until(fake.now + 30 * MSEC);
	ck_assert_int_gt(fake.kicks, 0);
}
END_TEST

START_TEST(for_an_expired_timer_too)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitSleep);
	timer_add(&a->timer, fake.now + MSEC, timer_wake, a, unit_seq(a));
	fake_until(fake.now + 30 * MSEC);
	ck_assert_int_gt(fake.kicks, 0);
}
END_TEST

/* Two that wake each other hold the P as one: a third must get it. */
static int64_t until_asked(void)
{
	int64_t begin = fake.now;
	while (!fake.kicks && fake.now < begin + 100 * MSEC)
		fake_until(fake.now + 100 * USEC);
	return fake.now - begin;
}

/* Whoever was woken does not wait for the end of a slice, whatever queue it came to. */
static void main_gives_way(void (*wake)(struct g *))
{
	with_sysmon(1);
	fake_until(fake.now + 3 * MSEC);
	wake(unit_parked(WaitFutex));
	ck_assert_int_le(until_asked(), 3 * MSEC);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1);
}

static void wake_globally(struct g *g)
{
	g_setstatus(g, Gwaiting, Grunnable);
	lock(&sched.lock);
	globrunq_put_locked(g);
	unlock(&sched.lock);
}

START_TEST(a_g_that_computes_gives_way_to_one_that_was_woken)
{
	main_gives_way(ready);
}
END_TEST

START_TEST(also_if_that_one_is_in_the_ring)
{
	main_gives_way(ready_last);
}
END_TEST

START_TEST(also_if_that_one_is_in_the_global_queue)
{
	main_gives_way(wake_globally);
}
END_TEST

START_TEST(but_runs_for_2_ms_first)
{
	with_sysmon(1);
	ready(unit_parked(WaitFutex));
	int64_t ran = until_asked();
	ck_assert_int_ge(ran, 2 * MSEC);
	ck_assert_int_le(ran, 5 * MSEC);
}
END_TEST

/* A look that finds some hand-offs does not know yet that who runs now computes; the next ones come soon. */
START_TEST(also_after_some_hand_offs)
{
	with_sysmon(1);
	fake_until(fake.now + 20 * MSEC);
	runq_put(&allp[0], unit_runnable(), false);
	for (int i = 0; i < 4; i++)
		fake_call(unit_curg(0), unit_yield, NULL);
	uint64_t looks = sched.nsysmontick;
	while (sched.nsysmontick == looks)
		fake_until(fake.now + 100 * USEC);
	int64_t ran = until_asked();
	ck_assert_int_ge(ran, 2 * MSEC - 100 * USEC);
	ck_assert_int_le(ran, 3 * MSEC);
}
END_TEST

START_TEST(a_new_slice_has_its_own_10_ms)
{
	with_sysmon(1);
	runq_put(&allp[0], unit_runnable(), false);
	for (int i = 0; i < 60; i++) {
		fake_until(fake.now + MSEC);
		fake_call(unit_curg(0), unit_yield, NULL);
	}
	ck_assert_int_eq(fake.kicks, 0);
}
END_TEST

static uintptr_t places; /* that looks find a G at in turn */

static void give_way(void *unused)
{
	(void)unused;
	gosched();
}

/* Runs for so long; a G gives way when it is told to, or (every) after each ms. How many were told to. */
static uint64_t told_in(int ms, bool every)
{
	uint64_t before = allp[0].npreempt;
	for (int i = 0; i < ms; i++) {
		fake_until(fake.now + MSEC);
		struct g *g = unit_curg(0);
		preempt_note_place(g, 0x1000 + (uintptr_t)i % places * 0x1000);
		if (!every && !load_rlx(&g->preempt))
			continue;
		fake_call(g, give_way, NULL);
	}
	return allp[0].npreempt - before;
}

START_TEST(slices_are_shorter_while_all_are_used_up_at_one_place)
{
	with_sysmon(1);
	places = 3;
	for (int i = 0; i < 4; i++)
		runq_put(&allp[0], used_up(), false);
	told_in(60, false);
	ck_assert_uint_ge(told_in(100, false), 18);
	told_in(10, true);
	ck_assert_uint_le(told_in(30, false), 3);
}
END_TEST

/* With so many others that move about and use up their slices; a look comes 4 ms late at most. */
static void slices_last(int others, int ms)
{
	with_sysmon(1);
	places = 4;
	lock(&sched.lock);
	for (int i = 0; i < others; i++)
		globrunq_put_locked(used_up());
	unlock(&sched.lock);
	told_in(60, false);
	uint64_t n = told_in(600, false);
	ck_assert_uint_ge(n, 600 / (ms + 4) - 1);
	ck_assert_uint_le(n, 600 / ms);
}

START_TEST(slices_are_longer_where_few_compute)
{
	slices_last(1, 30);
}
END_TEST

START_TEST(three_have_their_turn_in_60_ms)
{
	slices_last(2, 20);
}
END_TEST

START_TEST(many_have_10_ms_each)
{
	slices_last(50, 10);
}
END_TEST

START_TEST(it_stays_after_four_looks_in_a_row)
{
	fake_start(1);
	preempt_note_place(main_g, 5000);
	for (int i = 0; i < 4; i++) {
		ck_assert(!preempt_stays(main_g));
		preempt_note_place(main_g, i % 2 ? 5255 : 4744);
	}
	ck_assert(preempt_stays(main_g));
	preempt_note_place(main_g, 5256);
	ck_assert(!preempt_stays(main_g));
}
END_TEST

/* In a slice a few times, ever more seldom; all the time while such were found. */
START_TEST(it_has_the_handler_look_for_spinning)
{
	with_sysmon(1);
	fake_until(fake.now + 50 * MSEC);
	ck_assert_int_eq(fake.looks, 0); /* nobody waits */
	runq_put(&allp[0], used_up(), false);
	store_rlx(&allp[0].schedtick, load_rlx(&allp[0].schedtick) + 1);
	fake_until(fake.now + 9 * MSEC);
	ck_assert_int_ge(fake.looks, 1);
	ck_assert_int_le(fake.looks, 7);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 0);
	int before = fake.looks;
	for (int i = 0; i < 100; i++) {
		allp[0].nspun++;
		store_rlx(&allp[0].schedtick, load_rlx(&allp[0].schedtick) + 1);
		fake_until(fake.now + MSEC);
	}
	ck_assert_int_ge(fake.looks - before, 100);
}
END_TEST

START_TEST(it_wakes_up_when_a_p_is_used_again)
{
	with_sysmon(1);
	main_g->waitreason = WaitIORead;
	fake_call(main_g, unit_park, NULL);
	fake_until(fake.now + 100 * MSEC);
	ck_assert_int_eq(fake.ms[0].state, MPolling);
	unit_net_event(main_g);
	fake_settle();
	ck_assert_ptr_eq(unit_curg(0), main_g);
	ready(unit_parked(WaitFutex));
	fake_until(fake.now + 50 * MSEC);
	ck_assert_msg(fake.kicks > 0, "nobody preempts the G");
}
END_TEST

static void short_call(void *unused)
{
	long args[6] = { 0 };
	(void)unused;
	blocking_syscall(getg(), 17, args);
}

/* --- network --- */

START_TEST(it_polls_if_nobody_did_for_10_ms)
{
	with_sysmon(2); /* one of the P's is idle */
	fake.net_waiting = true;
	struct g *g = unit_parked(WaitIORead);
	sched.lastpoll = fake.now;
	fake_until(fake.now + 30 * MSEC);
	ck_assert_int_ge(fake.net_polls, 1);
	ck_assert_uint_eq(load_rlx(&g->status), Gwaiting);
}
END_TEST

/* Nobody else would see an event before the end of a slice. */
START_TEST(it_sleeps_in_the_netpoller_while_every_p_computes)
{
	with_sysmon(1);
	fake.net_waiting = true;
	fake_until(fake.now + 50 * MSEC);
	ck_assert_int_eq(mon->state, MPolling);
	int64_t begin = fake.now;
	struct g *g = unit_parked(WaitIORead);
	lock(&sched.lock);
	globrunq_put_locked(used_up());
	unlock(&sched.lock);
	unit_net_event(g);
	fake_settle();
	ck_assert_int_eq(fake.now, begin);
	ck_assert_ptr_eq(sched.runq.head, g);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1);
	fake_call(main_g, give_way, NULL);
	ck_assert_ptr_eq(unit_curg(0), g);
}
END_TEST

START_TEST(not_where_ps_look_themselves)
{
	with_sysmon(1);
	fake.net_waiting = true;
	for (int i = 0; i < 100; i++) {
		store_rlx(&sched.lastpoll, fake.now);
		fake_until(fake.now + MSEC);
		ck_assert_int_eq(mon->state, MAsleep);
	}
	ck_assert_int_eq(fake.net_polls, 0);
}
END_TEST

START_TEST(not_where_they_have_many_to_run)
{
	with_sysmon(1);
	fake.net_waiting = true;
	for (int i = 0; i < 500; i++) {
		allp[0].nswitch += 10;
		fake_until(fake.now + 100 * USEC);
		ck_assert_int_eq(mon->state, MAsleep);
	}
	fake_until(fake.now + 30 * MSEC);
	ck_assert_int_eq(mon->state, MPolling);
}
END_TEST

START_TEST(it_is_told_there_too)
{
	with_sysmon(1);
	fake.net_waiting = true;
	fake_until(fake.now + 50 * MSEC);
	ck_assert_int_eq(mon->state, MPolling);
	uint64_t n = looks();
	sysmon_nudge();
	fake_settle();
	ck_assert_uint_gt(looks(), n);
}
END_TEST

/* One P for each of the global queue's that were woken. */
START_TEST(one_that_was_woken_takes_one_p)
{
	with_sysmon(2);
	unit_spawn();
	fake_until(fake.now + 20 * MSEC);
	wake_globally(unit_parked(WaitFutex));
	fake_until(fake.now + 5 * MSEC);
	ck_assert_uint_ge(allp[0].npreempt, 1);
	ck_assert_uint_eq(allp[1].npreempt, 0);
	wake_globally(unit_parked(WaitFutex));
	fake_until(fake.now + 5 * MSEC);
	ck_assert_uint_ge(allp[1].npreempt, 1);
}
END_TEST

START_TEST(not_if_an_m_sleeps_there)
{
	with_sysmon(1);
	fake.net_waiting = true;
	store_rlx(&sched.lastpoll, 0);
	fake_until(fake.now + 100 * MSEC);
	ck_assert_int_eq(fake.net_polls, 0);
}
END_TEST

START_TEST(not_if_nobody_waits_for_the_network)
{
	with_sysmon(1);
	fake_until(fake.now + 100 * MSEC);
	ck_assert_int_eq(fake.net_polls, 0);
}
END_TEST

START_TEST(an_idle_p_runs_what_it_found)
{
	with_sysmon(2);
	struct g *g = unit_parked(WaitIORead);
	fake.net_waiting = true;
	unit_net_event(g);
	fake_until(fake.now + 30 * MSEC);
	ck_assert_uint_eq(load_rlx(&g->status), Grunning);
}
END_TEST

/* The M that watched the timers went off with a G that an event woke. */
START_TEST(it_sees_to_timers_that_nobody_watches)
{
	with_sysmon(2);
	struct g *a = unit_parked(WaitSleep);
	timer_add(&a->timer, fake.now + 5 * MSEC, timer_wake, a, unit_seq(a));
	main_g->waitreason = WaitIORead;
	fake_call(main_g, unit_park, NULL);
	ck_assert_int_eq(fake.ms[0].state, MPolling);
	fake_until(fake.now + MSEC);
	unit_net_event(main_g);
	fake_settle();
	ck_assert_ptr_eq(unit_curg(main_g->m->p->id), main_g);
	fake_until(fake.now + 4 * MSEC + 200 * USEC);
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
}
END_TEST

START_TEST(it_wakes_somebody_to_watch_the_network)
{
	with_sysmon(2);
	fake.net_waiting = true;
	fake_until(fake.now + MSEC);
	ck_assert_int_eq(load_rlx(&sched.lastpoll), 0);
	ck_assert_int_eq(fake.ms[2].state, MPolling);
}
END_TEST

/* It makes system call after system call, and is in one whenever somebody looks. */
START_TEST(a_g_in_short_calls_is_preempted_too)
{
	with_sysmon(1);
	runq_put(&allp[0], used_up(), false);
	int64_t begin = fake.now;
	fake_call(main_g, short_call, NULL);
	while (!load_rlx(&main_g->preempt) && fake.now < begin + 100 * MSEC) {
		fake_until(fake.now + 10 * USEC);
		store_rlx(&allp[0].syscalltick, load_rlx(&allp[0].syscalltick) + 1); /* another call */
	}
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1);
	ck_assert_int_ge(fake.now - begin, 10 * MSEC);
	ck_assert_int_le(fake.now - begin, 21 * MSEC);
	ck_assert_int_eq(fake.kicks, 0);
}
END_TEST

UNIT_MAIN("rule 8: sysmon", it_has_no_p, there_is_one, it_looks_after_20_us_at_first, ever_more_seldom_up_to_10_ms,
	  while_all_ps_are_idle_it_sleeps, a_g_that_ran_10_ms_is_preempted_if_another_waits, again_after_another_10_ms,
	  not_if_nobody_waits, for_a_g_on_the_global_queue_too, for_an_expired_timer_too,
	  a_g_that_computes_gives_way_to_one_that_was_woken, also_if_that_one_is_in_the_ring,
	  also_if_that_one_is_in_the_global_queue, but_runs_for_2_ms_first, also_after_some_hand_offs, a_new_slice_has_its_own_10_ms,
	  it_has_the_handler_look_for_spinning, slices_are_shorter_while_all_are_used_up_at_one_place,
	  slices_are_longer_where_few_compute, three_have_their_turn_in_60_ms, many_have_10_ms_each,
	  it_stays_after_four_looks_in_a_row, it_wakes_up_when_a_p_is_used_again, it_polls_if_nobody_did_for_10_ms,
	  it_sleeps_in_the_netpoller_while_every_p_computes, not_where_ps_look_themselves, not_where_they_have_many_to_run,
	  it_is_told_there_too, one_that_was_woken_takes_one_p, not_if_an_m_sleeps_there,
	  not_if_nobody_waits_for_the_network, an_idle_p_runs_what_it_found, it_sees_to_timers_that_nobody_watches,
	  it_wakes_somebody_to_watch_the_network, a_g_in_short_calls_is_preempted_too)
