/* test_rule05_steal.c - rule 5: an M without work spins (at most half as many as there are busy P's), visits the P's in
 * random order four times, takes half of a victim's ring, its timers, and only in the last round its runnext. */
#include "unit.h"

/* P i belongs to an M that computes. */
static void busy(int procs)
{
	fake_start(procs);
	for (int i = 1; i < procs; i++)
		unit_spawn();
	fake_settle();
	ck_assert_uint_eq(load_rlx(&sched.npidle), 0);
	for (int i = 0; i < procs; i++)
		ck_assert(runq_empty(&allp[i]));
}

static struct g *put(int p, bool next)
{
	struct g *g = unit_runnable();
	runq_put(&allp[p], g, next);
	return g;
}

static uint32_t taken_from_ring_of(int n)
{
	busy(2);
	for (int i = 0; i < n; i++)
		put(1, false);
	ck_assert_ptr_nonnull(unit_take());
	ck_assert_uint_eq(runq_size(&allp[0]) + 1 + runq_size(&allp[1]), (uint32_t)n);
	ck_assert_uint_eq(allp[0].nsteal, 1);
	ck_assert_uint_eq(allp[0].nstolen, runq_size(&allp[0]) + 1);
	return runq_size(&allp[0]) + 1;
}

START_TEST(half_of_a_full_ring)
{
	ck_assert_uint_eq(taken_from_ring_of(RUNQ_LEN), RUNQ_LEN / 2);
}
END_TEST

START_TEST(half_of_five_is_three)
{
	ck_assert_uint_eq(taken_from_ring_of(5), 3);
}
END_TEST

START_TEST(half_of_one_is_one)
{
	ck_assert_uint_eq(taken_from_ring_of(1), 1);
}
END_TEST

START_TEST(it_takes_the_oldest)
{
	struct g *g[4];
	busy(2);
	for (int i = 0; i < 4; i++)
		g[i] = put(1, false);
	struct g *first = unit_take(), *second = unit_take();
	ck_assert((first == g[0] && second == g[1]) || (first == g[1] && second == g[0]));
	bool inherit;
	ck_assert_ptr_eq(runq_get(&allp[1], &inherit), g[2]);
	ck_assert_ptr_eq(runq_get(&allp[1], &inherit), g[3]);
}
END_TEST

START_TEST(a_stolen_g_has_a_slice_of_its_own)
{
	busy(2);
	put(1, true);
	bool inherit = true;
	ck_assert_ptr_nonnull(findrunnable_try(getm(), &inherit));
	ck_assert(!inherit);
}
END_TEST

START_TEST(runnext_comes_after_all_rings)
{
	/* Whichever P is visited first. */
	for (int seed = 0; seed < 32; seed++) {
		if (seed == 0)
			busy(3);
		getm()->fastrand[0] = (uint32_t)seed * 2654435761u | 1;
		struct g *next = put(1, true), *ring = put(2, false);
		ck_assert_ptr_eq(unit_take(), ring);
		ck_assert_ptr_eq(unit_take(), next);
	}
}
END_TEST

START_TEST(it_goes_round_four_times)
{
	busy(3);
	struct m copy = { .fastrand = { getm()->fastrand[0], getm()->fastrand[1] } };
	ck_assert_ptr_null(unit_take());
	for (int i = 0; i < 4; i++)
		m_fastrand(&copy);
	ck_assert_uint_eq(getm()->fastrand[0], copy.fastrand[0]);
	ck_assert_uint_eq(getm()->fastrand[1], copy.fastrand[1]);
}
END_TEST

START_TEST(the_order_is_random)
{
	int found[5] = { 0 };
	busy(5);
	for (int i = 0; i < 200; i++) {
		struct g *g[5];
		for (int p = 1; p < 5; p++)
			g[p] = put(p, false);
		struct g *first = unit_take();
		for (int p = 1; p < 5; p++)
			found[p] += g[p] == first;
		while (unit_take())
			;
	}
	for (int p = 1; p < 5; p++)
		ck_assert_int_gt(found[p], 10);
}
END_TEST

START_TEST(an_idle_p_is_not_visited)
{
	fake_start(2);
	runq_put(&allp[1], unit_runnable(), false); /* cannot happen; only shows who looks */
	ck_assert_ptr_null(unit_take());
}
END_TEST

static struct g *sleeper_on(int p, int64_t when)
{
	struct g *g = unit_parked(WaitSleep);
	fake_on(&fake.ms[p]);
	timer_add(&g->timer, when, timer_wake, g, unit_seq(g));
	ck_assert_ptr_eq(load_rlx(&g->timer.pp), getm()->p);
	fake_on(&fake.ms[0]);
	return g;
}

START_TEST(it_runs_the_victim_s_timers)
{
	busy(2);
	struct g *early = sleeper_on(1, fake.now + MSEC), *late = sleeper_on(1, fake.now + 2 * MSEC);
	ck_assert_ptr_null(unit_take());
	fake.now += MSEC;
	ck_assert_ptr_eq(unit_take(), early);
	ck_assert_ptr_null(unit_take());
	ck_assert_ptr_nonnull(load_rlx(&late->timer.pp));
}
END_TEST

START_TEST(rings_come_before_the_victim_s_timers)
{
	busy(3);
	for (int seed = 0; seed < 16; seed++) {
		getm()->fastrand[0] = (uint32_t)seed * 2654435761u | 1;
		struct g *sleeper = sleeper_on(1, fake.now), *ring = put(2, false);
		ck_assert_ptr_eq(unit_take(), ring);
		ck_assert_ptr_eq(unit_take(), sleeper);
	}
}
END_TEST

/* --- spinning --- */

static bool would_spin(uint32_t spinning)
{
	struct m *m = getm();
	store_rlx(&sched.nmspinning, spinning);
	ck_assert_ptr_null(unit_take());
	bool yes = m->spinning;
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), spinning + yes);
	m->spinning = false;
	store_rlx(&sched.nmspinning, 0);
	return yes;
}

START_TEST(half_as_many_spin_as_there_are_busy_ps)
{
	busy(4);
	ck_assert(would_spin(0));
	ck_assert(would_spin(1));
	ck_assert(!would_spin(2));
	ck_assert(!would_spin(3));
}
END_TEST

START_TEST(idle_ps_do_not_count)
{
	fake_start(8);
	unit_spawn(); /* and M's that found nothing are idle again */
	fake_settle();
	uint32_t active = 8 - load_rlx(&sched.npidle);
	ck_assert_uint_eq(active, 2);
	ck_assert(would_spin(0));
	ck_assert(!would_spin(1));
}
END_TEST

START_TEST(who_does_not_spin_does_not_steal)
{
	busy(4);
	put(1, false);
	store_rlx(&sched.nmspinning, 2);
	ck_assert_ptr_null(unit_take());
	ck_assert_uint_eq(runq_size(&allp[1]), 1);
	/* One that spins already goes on. */
	getm()->spinning = true;
	store_rlx(&sched.nmspinning, 3);
	ck_assert_ptr_nonnull(unit_take());
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 3);
}
END_TEST

/* --- the victim's chance --- */

/* It looks on for 3 µs, or sleeps where G's hand off to each other all the time. */
START_TEST(runnext_of_a_running_p_is_left_a_while)
{
	busy(2);
	store_rlx(&sched.sysmonfast, 1);
	struct g *next = put(1, true);
	fake_call(main_g, unit_park, NULL);
	ck_assert_int_eq(fake.ms[0].state, MAsleep);
	ck_assert_ptr_null(fake.ms[0].note);
	ck_assert_int_eq(fake.ms[0].until, fake.now + 3 * USEC);
	ck_assert_ptr_eq(load_rlx(&allp[1].runnext), next);
	fake_until(fake.now + 3 * USEC);
	ck_assert_ptr_eq(unit_curg(0), next);
}
END_TEST

START_TEST(the_victim_may_run_it_meanwhile)
{
	busy(2);
	store_rlx(&sched.sysmonfast, 1);
	struct g *next = put(1, true), *other = unit_curg(1);
	fake_call(main_g, unit_park, NULL);
	fake_call(other, unit_park, NULL);
	ck_assert_ptr_eq(unit_curg(1), next);
	fake_until(fake.now + 3 * USEC);
	ck_assert_ptr_null(unit_curg(0));
	ck_assert_int_eq(fake.ms[0].state, MAsleep);
	ck_assert_ptr_eq(fake.ms[0].note, &fake.ms[0].m->park);
}
END_TEST

UNIT_MAIN("rule 5: stealing", half_of_a_full_ring, half_of_five_is_three, half_of_one_is_one, it_takes_the_oldest,
	  a_stolen_g_has_a_slice_of_its_own, runnext_comes_after_all_rings, it_goes_round_four_times,
	  the_order_is_random, an_idle_p_is_not_visited, it_runs_the_victim_s_timers,
	  rings_come_before_the_victim_s_timers, half_as_many_spin_as_there_are_busy_ps, idle_ps_do_not_count,
	  who_does_not_spin_does_not_steal, runnext_of_a_running_p_is_left_a_while, the_victim_may_run_it_meanwhile)
