/* test_turns.c - G's that hand off to each other go on in one slice: the turns of others, and who waits for an event meanwhile
 * (find.c). */
#include "unit.h"

static void with_sysmon(int procs)
{
	fake_start(procs);
	sysmon_start();
	fake_settle();
}

static uint64_t looks(void)
{
	return load_rlx(&sched.nsysmontick);
}

static void globally(struct g *g)
{
	lock(&sched.lock);
	globrunq_put_locked(g);
	unlock(&sched.lock);
}

static void wake_and_park(void *g)
{
	wake_g(g, unit_seq(g), WakeReady);
	unit_park(NULL);
}

static struct g *computing_waits(void)
{
	struct g *g = unit_runnable();
	store_rlx(&g->preempt, 1);
	globally(g);
	return g;
}

/* main_g and a hand the P to and fro until another has it, but not for longer than ms. How long that was. */
static int64_t hand_to_and_fro(struct g *a, int ms)
{
	int64_t begin = fake.now;
	store_rlx(&allp[0].schedtick, 1);
	while ((unit_curg(0) == a || unit_curg(0) == main_g) && fake.now < begin + ms * MSEC) {
		struct g *self = unit_curg(0);
		fake_call(self, wake_and_park, self == a ? main_g : a);
		fake_until(fake.now + 100 * USEC);
	}
	ck_assert_int_eq(fake.kicks, 0);
	return fake.now - begin;
}

START_TEST(a_pair_has_a_turn_of_10_ms_beside_who_computes)
{
	with_sysmon(1);
	struct g *computing = computing_waits();
	int64_t turn = hand_to_and_fro(unit_parked(WaitFutex), 100);
	ck_assert_ptr_eq(unit_curg(0), computing);
	ck_assert_int_ge(turn, 10 * MSEC);
	ck_assert_int_le(turn, 11 * MSEC);
	ck_assert_uint_eq(allp[0].nturns, 1);
}
END_TEST

/* Sleepers, and those that wait for events, run between two that hand off, but the turn remains theirs. */
START_TEST(also_if_others_come_between)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex), *computing = computing_waits(), *sleeper = unit_parked(WaitSleep);
	int64_t begin = fake.now, turn = 0;
	store_rlx(&allp[0].schedtick, 1);
	while (unit_curg(0) != computing && turn < 100 * MSEC) {
		struct g *self = unit_curg(0);
		if (self != sleeper && load_rlx(&sleeper->status) == Gwaiting) {
			fake_on(&fake.ms[0]);
			sleeper->wait_ticks = arch_cputicks() - (1 << 22);
			timer_add(&sleeper->timer, fake.now, timer_wake, sleeper, unit_seq(sleeper));
		}
		fake_call(self, self == sleeper ? unit_park : wake_and_park, self == a ? main_g : a);
		fake_until(fake.now + 100 * USEC);
		turn = fake.now - begin;
	}
	ck_assert_uint_gt(sleeper->switches, 2);
	ck_assert_int_ge(turn, 10 * MSEC);
	ck_assert_int_le(turn, 12 * MSEC);
}
END_TEST

START_TEST(many_turns_are_shorter)
{
	with_sysmon(1);
	for (int i = 0; i < 11; i++)
		computing_waits();
	int64_t turn = hand_to_and_fro(unit_parked(WaitFutex), 100);
	ck_assert_int_ge(turn, 5 * MSEC);
	ck_assert_int_le(turn, 6 * MSEC);
}
END_TEST

/* Of those that run for so long each has slices of its own. */
START_TEST(few_hand_offs_are_no_turn)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex);
	runq_put(&allp[0], unit_runnable(), false);
	for (int i = 0; i < 7; i++) {
		struct g *self = unit_curg(0), *other = self == a ? main_g : a;
		fake_call(self, wake_and_park, other);
		ck_assert_ptr_eq(unit_curg(0), other);
		fake_until(fake.now + 1500 * USEC);
	}
}
END_TEST

static void wake_globally(struct g *g)
{
	g_setstatus(g, Gwaiting, Grunnable);
	globally(g);
}

/* None of a pair runs for long, but both together would keep the P from it. The one that was about to run next queues behind. */
static void pair_makes_room(void (*wake)(struct g *))
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex), *woken = unit_parked(WaitFutex);
	wake(woken);
	int64_t turn = hand_to_and_fro(a, 100);
	ck_assert_ptr_eq(unit_curg(0), woken);
	ck_assert_int_ge(turn, 1500 * USEC);
	ck_assert_int_le(turn, 2500 * USEC);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
	ck_assert_uint_eq(load_rlx(&sched.usedup.head->preempt), 1);
}

START_TEST(a_pair_makes_room_for_one_that_was_woken)
{
	pair_makes_room(ready_last);
}
END_TEST

START_TEST(also_for_one_in_the_global_queue)
{
	pair_makes_room(wake_globally);
}
END_TEST

/* Beside a pair its P polls, beside who computes sysmon watches: which of the two it is, is to be known soon after their slice. */
START_TEST(after_a_slice_of_a_pair_it_looks_soon_for_who_waits_for_a_descriptor)
{
	with_sysmon(1);
	struct g *a = unit_parked(WaitFutex), *computing = computing_waits();
	fake.net_waiting = true;
	hand_to_and_fro(a, 100);
	ck_assert_ptr_eq(unit_curg(0), computing);
	uint64_t n = looks();
	fake_until(fake.now + 1200 * USEC);
	ck_assert_uint_gt(looks(), n);
}
END_TEST

/* The local queue is not empty where two hand off to each other, but one of them runs next: now and then it polls first. */
static void poll_is_due(bool yes)
{
	struct m *m = getm();
	m->ticks = arch_cputicks();
	allp[0].look_ticks = m->ticks - TICKS_UNPOLLED - yes;
}

START_TEST(who_waited_for_an_event_runs_between_two_that_hand_off)
{
	fake_start(1);
	struct g *net = unit_parked(WaitIORead), *local = unit_runnable(), *next = unit_runnable();
	unit_net_event(net);
	runq_put(&allp[0], local, false);
	runq_put(&allp[0], next, true);
	poll_is_due(true);
	ck_assert_ptr_eq(unit_take(), net);
	ck_assert_uint_eq(load_rlx(&net->status), Grunnable);
	ck_assert_uint_eq(allp[0].look_ticks, getm()->ticks);
	ck_assert_ptr_eq(unit_take(), next);
	ck_assert_ptr_eq(unit_take(), local);
	ck_assert_int_eq(fake.net_polls, 1);
}
END_TEST

/* Each of a pool's wakes the same one when it is done, and the next of the ring runs: that one hands off to nobody for long. */
START_TEST(who_is_woken_between_those_of_the_ring_did_not_use_up_a_slice)
{
	fake_start(1);
	for (int i = 0; i < 40; i++) {
		struct g *worker = unit_runnable(), *later = unit_runnable(), *next = unit_runnable();
		runq_put(&allp[0], worker, false);
		runq_put(&allp[0], later, false);
		runq_put(&allp[0], next, true);
		poll_is_due(true);
		ck_assert_ptr_eq(unit_take(), next);
		ck_assert_uint_eq(load_rlx(&next->preempt), 0);
		ck_assert_ptr_eq(unit_take(), worker);
		ck_assert_ptr_eq(unit_take(), later);
		store_rlx(&allp[0].schedtick, load_rlx(&allp[0].schedtick) + 2); /* as execute does */
		allp[0].nswitch += 3;
		fake.now += 200 * USEC;
	}
	ck_assert_uint_eq(allp[0].nturns, 0);
}
END_TEST

/* But it lets one that computes pass, once in a slice. */
START_TEST(and_lets_one_pass_that_computes)
{
	fake_start(1);
	struct g *computing = unit_runnable();
	store_rlx(&computing->preempt, 1);
	globally(computing);
	store_rlx(&allp[0].schedtick, 1);
	int64_t begin = fake.now;
	for (;;) {
		struct g *worker = unit_runnable(), *next = unit_runnable();
		runq_put(&allp[0], worker, false);
		runq_put(&allp[0], next, true);
		poll_is_due(true);
		if (unit_take() == computing) {
			ck_assert_ptr_eq(load_rlx(&allp[0].runnext), next);
			ck_assert_uint_eq(load_rlx(&next->preempt), 0);
			break;
		}
		ck_assert_ptr_eq(unit_take(), worker);
		store_rlx(&allp[0].schedtick, 2 + fake.now / (200 * USEC) % 59);
		allp[0].nswitch += 2;
		fake.now += 200 * USEC;
	}
	ck_assert_int_ge(fake.now - begin, 10 * MSEC);
	ck_assert_int_le(fake.now - begin, 11 * MSEC);
}
END_TEST

START_TEST(not_between_any_two)
{
	fake_start(1);
	struct g *local = unit_runnable(), *next = unit_runnable();
	unit_net_event(unit_parked(WaitIORead));
	runq_put(&allp[0], local, false);
	runq_put(&allp[0], next, true);
	poll_is_due(false);
	ck_assert_ptr_eq(unit_take(), next);
	/* Nobody hands off: it is polled when the queue is empty. */
	poll_is_due(true);
	ck_assert_ptr_eq(unit_take(), local);
	ck_assert_int_eq(fake.net_polls, 0);
}
END_TEST

START_TEST(several_go_before_those_that_hand_off)
{
	fake_start(1);
	struct g *first = unit_parked(WaitIORead), *second = unit_parked(WaitIORead), *next = unit_runnable();
	unit_net_event(first);
	unit_net_event(second);
	runq_put(&allp[0], next, true);
	poll_is_due(true);
	ck_assert_ptr_eq(unit_take(), first);
	ck_assert_ptr_eq(unit_take(), second);
	ck_assert_ptr_eq(unit_take(), next);
}
END_TEST

UNIT_MAIN("turns", a_pair_has_a_turn_of_10_ms_beside_who_computes, also_if_others_come_between, many_turns_are_shorter,
	  few_hand_offs_are_no_turn, a_pair_makes_room_for_one_that_was_woken, also_for_one_in_the_global_queue,
	  after_a_slice_of_a_pair_it_looks_soon_for_who_waits_for_a_descriptor,
	  who_waited_for_an_event_runs_between_two_that_hand_off,
	  who_is_woken_between_those_of_the_ring_did_not_use_up_a_slice, and_lets_one_pass_that_computes,
	  not_between_any_two, several_go_before_those_that_hand_off)
