/* test_park.c - the wait record: exactly one of several wakers ends a wait, and a waker that comes before the G has left
 * its stack keeps it from sleeping. */
#include "unit.h"

static enum wake how;
static uint32_t seq;

static void park(void *unused)
{
	(void)unused;
	how = WakeNone;
	seq = wait_begin(getg(), WaitFutex);
	how = wait_park(getg());
}

START_TEST(a_parked_g_is_woken)
{
	fake_start(1);
	struct g *a = unit_runnable();
	runq_put(&allp[0], a, false);
	ck_assert(!fake_call(main_g, park, NULL));
	ck_assert_uint_eq(load_rlx(&main_g->status), Gwaiting);
	ck_assert_uint_eq(load_rlx(&main_g->wait) & 0xff, WaitParked);
	ck_assert_int_eq(main_g->waitreason, WaitFutex);
	ck_assert(wake_g(main_g, seq, WakeReady));
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunnable);
	fake_call(a, unit_park, NULL);
	ck_assert_int_eq(how, WakeReady);
	ck_assert_uint_eq(load_rlx(&main_g->wait) & 0xff, WaitIdle);
	ck_assert_int_eq(main_g->waitreason, WaitNone);
}
END_TEST

START_TEST(of_several_wakers_one_wins)
{
	fake_start(1);
	fake_call(main_g, park, NULL);
	fake_on(NULL);
	ck_assert(wake_g(main_g, seq, WakeTimeout));
	ck_assert(!wake_g(main_g, seq, WakeReady));
	ck_assert(!wake_g(main_g, seq, WakeSignal));
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
	fake_settle();
	ck_assert_int_eq(how, WakeTimeout);
}
END_TEST

static void claimed_before_parking(void *unused)
{
	(void)unused;
	struct g *g = getg();
	seq = wait_begin(g, WaitFutex);
	ck_assert_int_eq(wait_claim(g, seq, WakeReady), ClaimEarly);
	ck_assert_int_eq(wait_claim(g, seq, WakeTimeout), ClaimLost);
	how = wait_park(g);
}

START_TEST(an_early_claim_keeps_it_awake)
{
	fake_start(1);
	ck_assert(fake_call(main_g, claimed_before_parking, NULL));
	ck_assert_int_eq(how, WakeReady);
	ck_assert_uint_eq(allp[0].nswitch, 0);
}
END_TEST

static void stale(void *unused)
{
	(void)unused;
	struct g *g = getg();
	uint32_t old = wait_begin(g, WaitFutex);
	wait_cancel(g);
	seq = wait_begin(g, WaitFutex);
	ck_assert_uint_ne(seq, old);
	ck_assert_int_eq(wait_claim(g, old, WakeReady), ClaimLost);
	how = wait_park(g);
}

START_TEST(an_old_number_claims_nothing)
{
	fake_start(1);
	ck_assert(!fake_call(main_g, stale, NULL));
	ck_assert(!wake_g(main_g, seq - 1, WakeReady));
	ck_assert_uint_eq(load_rlx(&main_g->status), Gwaiting);
	ck_assert(wake_g(main_g, seq, WakeReady));
}
END_TEST

static void cancelled(void *unused)
{
	(void)unused;
	struct g *g = getg();
	seq = wait_begin(g, WaitFutex);
	how = wait_cancel(g);
	ck_assert(!wake_g(g, seq, WakeReady));
}

START_TEST(a_cancelled_wait_cannot_be_woken)
{
	fake_start(1);
	how = WakeReady;
	ck_assert(fake_call(main_g, cancelled, NULL));
	ck_assert_int_eq(how, WakeNone);
	ck_assert_int_eq(main_g->waitreason, WaitNone);
}
END_TEST

static void cancelled_late(void *unused)
{
	(void)unused;
	struct g *g = getg();
	seq = wait_begin(g, WaitFutex);
	ck_assert(wake_g(g, seq, WakeReady));
	how = wait_cancel(g);
}

START_TEST(a_wake_before_the_cancelling_is_not_lost)
{
	fake_start(1);
	ck_assert(fake_call(main_g, cancelled_late, NULL));
	ck_assert_int_eq(how, WakeReady);
}
END_TEST

START_TEST(a_pending_signal_ends_the_wait_at_its_beginning)
{
	fake_start(1);
	store_rlx(&main_g->interrupt, 1);
	ck_assert(fake_call(main_g, park, NULL));
	ck_assert_int_eq(how, WakeSignal);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
}
END_TEST

static void park_unclaimed(void *g)
{
	wait_park(g);
}

START_TEST(parking_without_a_record_is_a_bug)
{
	fake_start(1);
	ck_assert_ptr_nonnull(fake_throw(park_unclaimed, main_g));
}
END_TEST

/* The number survives the G: a waker that is late by a whole life finds nothing. */
START_TEST(a_late_waker_does_not_wake_the_next_user_of_the_g)
{
	fake_start(1);
	struct g *a = unit_parked(WaitFutex);
	uint32_t old = unit_seq(a);
	ck_assert(wake_g(a, old, WakeReady));
	fake_call(main_g, unit_yield, NULL);
	ck_assert_ptr_eq(unit_curg(0), a);
	fake_call(a, unit_exit, NULL);
	struct g *b = unit_parked(WaitFutex);
	ck_assert_ptr_eq(a, b);
	ck_assert(!wake_g(b, old, WakeReady));
	ck_assert_uint_eq(load_rlx(&b->status), Gwaiting);
}
END_TEST

UNIT_MAIN("wait record", a_parked_g_is_woken, of_several_wakers_one_wins, an_early_claim_keeps_it_awake,
	  an_old_number_claims_nothing, a_cancelled_wait_cannot_be_woken, a_wake_before_the_cancelling_is_not_lost,
	  a_pending_signal_ends_the_wait_at_its_beginning,
	  parking_without_a_record_is_a_bug, a_late_waker_does_not_wake_the_next_user_of_the_g)
