/* test_timer.c - deadlines: the heap of each P, and sleeping. */
#include "unit.h"
#include <stdlib.h>

#define N 1000

static struct timer t[N];
static int64_t fired[N];
static int nfired;

static void fire(struct g *g, uint32_t i)
{
	(void)g;
	fired[nfired++] = t[i].when;
	ck_assert_ptr_null(load_rlx(&t[i].pp));
}

static void check_heap(const struct p *pp)
{
	const struct timerheap *h = &pp->timers;
	for (uint32_t i = 0; i < h->len; i++) {
		ck_assert_uint_eq(h->slot[i].t->index, i);
		if (i)
			ck_assert_int_ge(h->slot[i].when, h->slot[(i - 1) / 4].when);
	}
	ck_assert_int_eq(load_rlx(&h->first), h->len ? h->slot[0].when : 0);
}

START_TEST(they_fire_in_order)
{
	fake_start(1);
	srandom(1);
	for (uint32_t i = 0; i < N; i++)
		timer_add(&t[i], fake.now + 1 + random() % 5000, fire, NULL, i);
	check_heap(&allp[0]);
	ck_assert_uint_eq(allp[0].timers.len, N);
	timers_run(&allp[0], fake.now + 5001);
	ck_assert_int_eq(nfired, N);
	for (int i = 1; i < N; i++)
		ck_assert_int_ge(fired[i], fired[i - 1]);
	ck_assert_uint_eq(allp[0].timers.len, 0);
	ck_assert_int_eq(load_rlx(&allp[0].timers.first), 0);
}
END_TEST

START_TEST(any_of_them_can_be_taken_out)
{
	fake_start(1);
	srandom(2);
	for (uint32_t i = 0; i < N; i++)
		timer_add(&t[i], fake.now + 1 + random() % 5000, fire, NULL, i);
	for (int i = 0; i < N; i += 2) {
		int k = (int)(random() % N);
		timer_del(&t[k]);
		ck_assert_ptr_null(load_rlx(&t[k].pp));
		timer_del(&t[k]);
		if (i % 50 == 0)
			check_heap(&allp[0]);
	}
	check_heap(&allp[0]);
	int left = (int)allp[0].timers.len;
	timers_run(&allp[0], fake.now + 5001);
	ck_assert_int_eq(nfired, left);
}
END_TEST

START_TEST(only_what_is_due)
{
	fake_start(1);
	timer_add(&t[0], fake.now + 10, fire, NULL, 0);
	timer_add(&t[1], fake.now + 20, fire, NULL, 1);
	ck_assert_int_eq(timers_run(&allp[0], fake.now + 9), fake.now + 10);
	ck_assert_int_eq(nfired, 0);
	ck_assert_int_eq(timers_run(&allp[0], fake.now + 10), fake.now + 20);
	ck_assert_int_eq(nfired, 1);
	fake.now += 20;
	ck_assert_int_eq(timers_run(&allp[0], 0), 0); /* 0: the clock's time */
	ck_assert_int_eq(nfired, 2);
}
END_TEST

static void again(struct g *g, uint32_t n)
{
	nfired++;
	if (n)
		timer_add(&t[n - 1], fake.now, again, g, n - 1);
}

START_TEST(a_function_may_add_timers)
{
	fake_start(1);
	timer_add(&t[9], fake.now, again, NULL, 9);
	timers_run(&allp[0], fake.now);
	ck_assert_int_eq(nfired, 10);
}
END_TEST

START_TEST(the_earliest_of_all_ps)
{
	fake_start(3);
	unit_spawn();
	ck_assert_int_eq(timers_next(), 0);
	timer_add(&t[0], fake.now + 30, fire, NULL, 0);
	ck_assert_int_eq(timers_next(), fake.now + 30);
	fake_on(fake_of(allp[1].m ? allp[1].m : allp[2].m));
	timer_add(&t[1], fake.now + 20, fire, NULL, 1);
	ck_assert_ptr_ne(load_rlx(&t[1].pp), load_rlx(&t[0].pp));
	ck_assert_int_eq(timers_next(), fake.now + 20);
	timer_del(&t[1]); /* from whatever P's heap it is in */
	ck_assert_int_eq(timers_next(), fake.now + 30);
}
END_TEST

START_TEST(a_time_before_the_beginning_is_due)
{
	fake_start(1);
	timer_add(&t[0], -5, fire, NULL, 0);
	timer_add(&t[1], 0, fire, NULL, 1);
	timers_run(&allp[0], 0);
	ck_assert_int_eq(nfired, 2);
}
END_TEST

/* --- sleeping --- */

static int64_t slept;

static void sleep_till(void *when)
{
	slept = sleep_until((int64_t)(intptr_t)when);
}

START_TEST(a_sleep_ends_on_time)
{
	fake_start(1);
	int64_t begin = fake.now;
	slept = 1;
	ck_assert(!fake_call(main_g, sleep_till, (void *)(intptr_t)(begin + MSEC)));
	ck_assert_uint_eq(load_rlx(&main_g->status), Gwaiting);
	fake_until(begin + MSEC - 1);
	ck_assert_uint_eq(load_rlx(&main_g->status), Gwaiting);
	fake_until(begin + MSEC);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
	ck_assert_int_eq(slept, 0);
}
END_TEST

START_TEST(a_signal_ends_it)
{
	fake_start(1);
	fake_call(main_g, sleep_till, (void *)(intptr_t)(fake.now + MSEC));
	fake_on(NULL);
	ck_assert(wake_g(main_g, unit_seq(main_g), WakeSignal));
	fake_settle();
	netpoll_break();
	fake_settle();
	ck_assert_int_eq(slept, -4);
	ck_assert_uint_eq(allp[0].timers.len, 0);
}
END_TEST

START_TEST(sleepers_wake_in_order)
{
	enum { S = 20 };
	struct g *g[S];
	fake_start(1);
	srandom(3);
	int64_t begin = fake.now;
	for (int i = 0; i < S; i++) {
		g[i] = unit_runnable();
		fake_first(g[i], sleep_till, (void *)(intptr_t)(begin + MSEC + (i * 7 % S) * MSEC));
		runq_put(&allp[0], g[i], false);
	}
	fake_call(main_g, unit_park, NULL);
	for (int k = 0; k < S; k++) {
		fake_until(begin + MSEC + k * MSEC);
		for (int i = 0; i < S; i++)
			if (load_rlx(&g[i]->status) == Grunning) {
				ck_assert_int_eq(i * 7 % S, k);
				fake_call(g[i], unit_park, NULL);
			}
		int awake = 0;
		for (int i = 0; i < S; i++)
			awake += g[i]->waitreason != WaitSleep;
		ck_assert_int_eq(awake, k + 1);
	}
}
END_TEST

/* --- an M sleeps in the netpoller for too long --- */

START_TEST(an_earlier_deadline_breaks_the_netpoller)
{
	fake_start(2);
	struct g *other = unit_spawn();
	timer_add(&t[0], fake.now + 50 * MSEC, fire, NULL, 0);
	fake_call(other, unit_park, NULL);
	ck_assert_int_eq(fake.ms[1].state, MPolling);
	ck_assert_int_eq(load_rlx(&sched.polluntil), fake.now + 50 * MSEC);
	runq_put(&allp[0], unit_runnable(), false); /* M 0 will be busy */
	timer_add(&t[1], fake.now + 60 * MSEC, fire, NULL, 1);
	ck_assert_int_eq(fake.net_breaks, 0);
	timer_add(&t[2], fake.now + MSEC, fire, NULL, 2);
	ck_assert_int_eq(fake.net_breaks, 1);
	ck_assert(fake_step(&fake.ms[1]));
	ck_assert_ptr_nonnull(fake.ms[1].m->p);
}
END_TEST

UNIT_MAIN("timers", they_fire_in_order, any_of_them_can_be_taken_out, only_what_is_due, a_function_may_add_timers,
	  the_earliest_of_all_ps, a_time_before_the_beginning_is_due, a_sleep_ends_on_time, a_signal_ends_it,
	  sleepers_wake_in_order, an_earlier_deadline_breaks_the_netpoller)
