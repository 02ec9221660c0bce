/* test_spin.c - an M without work looks on before it sleeps, where M's were woken again and again just after they slept. */
#include "unit.h"

/* M 0 has P 0 and nothing to do; the main G is gone. P 1 runs something. */
static struct p *other;

static void idle_m(int procs, bool may)
{
	rt_opt.cpus = may ? procs : 1;
	fake_start(procs);
	other = unit_spawn()->m->p;
	m0.spinning = true;
	store_rlx(&sched.nmspinning, 1);
}

static void short_idles(int n)
{
	for (int i = 0; i < n; i++) {
		spin_idle();
		fake.now += 20 * USEC;
		spin_woken();
	}
}

static uint64_t looked_on(void)
{
	uint64_t before = allp[0].nspin;
	spin_idly(&m0);
	return allp[0].nspin - before;
}

START_TEST(not_at_first)
{
	idle_m(2, true);
	ck_assert_uint_eq(looked_on(), 0);
}
END_TEST

START_TEST(after_some_short_idles)
{
	idle_m(2, true);
	short_idles(8);
	ck_assert_uint_eq(looked_on(), 1);
}
END_TEST

START_TEST(not_after_long_ones)
{
	idle_m(2, true);
	for (int i = 0; i < 20; i++) {
		spin_idle();
		fake.now += MSEC;
		spin_woken();
	}
	ck_assert_uint_eq(looked_on(), 0);
	short_idles(8);
	for (int i = 0; i < 8; i++)
		spin_idle();
	ck_assert_uint_eq(looked_on(), 0);
}
END_TEST

START_TEST(only_where_each_p_has_a_cpu)
{
	idle_m(2, false);
	short_idles(8);
	ck_assert_uint_eq(looked_on(), 0);
}
END_TEST

START_TEST(only_an_m_that_counts_as_spinning)
{
	idle_m(2, true);
	short_idles(8);
	m0.spinning = false;
	ck_assert_uint_eq(looked_on(), 0);
}
END_TEST

START_TEST(not_while_descriptors_are_waited_for)
{
	idle_m(2, true);
	short_idles(8);
	fake.net_waiting = true;
	ck_assert_uint_eq(looked_on(), 0);
}
END_TEST

START_TEST(not_if_a_timer_is_due_soon)
{
	idle_m(2, true);
	short_idles(8);
	struct g *a = unit_parked(WaitSleep);
	timer_add(&a->timer, fake.now + 10 * USEC, timer_wake, a, unit_seq(a));
	ck_assert(!spin_idly(&m0));
}
END_TEST

START_TEST(it_sees_what_a_thief_could_take)
{
	idle_m(3, true);
	short_idles(8);
	runq_put(other, unit_runnable(), false);
	ck_assert(spin_idly(&m0));
}
END_TEST

START_TEST(it_sees_the_global_queue)
{
	idle_m(2, true);
	short_idles(8);
	lock(&sched.lock);
	globrunq_put_locked(unit_runnable());
	unlock(&sched.lock);
	ck_assert(spin_idly(&m0));
}
END_TEST

START_TEST(it_sees_a_g_that_stays_in_runnext)
{
	idle_m(2, true);
	short_idles(8);
	store_rlx(&other->runnext, unit_runnable());
	ck_assert(spin_idly(&m0));
}
END_TEST

START_TEST(looking_on_in_vain_ends_it)
{
	idle_m(2, true);
	short_idles(20);
	for (int i = 0; i < 3; i++) {
		ck_assert(!spin_idly(&m0));
		spin_idle();
	}
	ck_assert_uint_eq(looked_on(), 0);
}
END_TEST

/* --- a word that two fight for --- */

static uint64_t left_alone(uintptr_t addr)
{
	uint64_t before = allp[0].nfight;
	spin_apart(addr);
	return allp[0].nfight - before;
}

START_TEST(a_word_that_changes_now_and_then_is_chance)
{
	idle_m(2, true);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(left_alone(64), 0);
		fake.now += i % 3 == 2 ? 5 * USEC : USEC;
	}
}
END_TEST

START_TEST(a_word_that_changes_all_the_time_is_left_to_others)
{
	idle_m(2, true);
	for (int i = 0; i < 6; i++) {
		ck_assert_uint_eq(left_alone(64), i >= 3);
		fake.now += USEC;
	}
}
END_TEST

START_TEST(two_words_are_no_fight)
{
	idle_m(2, true);
	for (uintptr_t i = 0; i < 8; i++)
		ck_assert_uint_eq(left_alone(64 + i % 2 * 64), 0);
}
END_TEST

START_TEST(nobody_fights_with_one_that_has_no_cpu)
{
	idle_m(2, false);
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(left_alone(64), 0);
}
END_TEST

UNIT_MAIN("looking on", not_at_first, after_some_short_idles, not_after_long_ones, only_where_each_p_has_a_cpu,
	  only_an_m_that_counts_as_spinning, not_while_descriptors_are_waited_for, not_if_a_timer_is_due_soon,
	  it_sees_what_a_thief_could_take, it_sees_the_global_queue, it_sees_a_g_that_stays_in_runnext,
	  looking_on_in_vain_ends_it, a_word_that_changes_now_and_then_is_chance,
	  a_word_that_changes_all_the_time_is_left_to_others, two_words_are_no_fight, nobody_fights_with_one_that_has_no_cpu)
