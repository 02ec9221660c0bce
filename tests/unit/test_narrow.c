/* test_narrow.c - one P where one is all that is used: when the others are taken away, when they are given back. */
#include "unit.h"
#include "control.h"
#include "narrow.h"

#define LOOK (50 * USEC)

/* A look of sysmon. */
static bool look(bool often)
{
	bool acted;
	fake.now += LOOK;
	fake_on(NULL);
	acted = narrow_tick(often, fake.now);
	fake_on(&fake.ms[0]);
	return acted;
}

static void look_for(int64_t ns, bool often)
{
	for (int64_t t = 0; t < ns; t += LOOK)
		look(often);
}

/* The G that runs has handed off, as one does all the time in such a program, and an M that was told to stop has. */
static void hand_off(void)
{
	if (load_rlx(&allp[0].stop))
		fake_call(main_g, (void (*)(void *))preempt_park, NULL);
}

static bool is_narrow(void)
{
	ck_assert_int_eq(one_p, sched.nprocs == 1);
	return sched.nprocs == 1;
}

static void make_narrow(int procs)
{
	fake_start(procs);
	for (int i = 0; i < 300 && !is_narrow(); i++) {
		look(true);
		hand_off();
	}
	ck_assert(is_narrow());
	fake_settle();
	ck_assert_ptr_eq(main_g->m->p, &allp[0]);
}

/* Steps until it is wide again; false: nothing is under way. */
static bool widens(void)
{
	if (!look(true) && is_narrow())
		return false;
	hand_off();
	look(true);
	fake_settle();
	ck_assert(!is_narrow());
	return true;
}

START_TEST(after_a_while_alone)
{
	fake_start(2);
	look_for(9 * MSEC, true);
	ck_assert(!load_rlx(&allp[0].stop));
	look_for(2 * MSEC, true);
	hand_off();
	look(true);
	ck_assert(is_narrow());
	ck_assert_int_eq(sched.gomaxprocs, 2);
	ck_assert_uint_eq(load_rlx(&allp[1].status), Pdead);
	ck_assert_uint_eq(load_rlx(&sched.nnarrow), 1);
}
END_TEST

START_TEST(not_where_hand_offs_are_rare)
{
	fake_start(2);
	look_for(100 * MSEC, false);
	ck_assert(!load_rlx(&allp[0].stop));
	look_for(5 * MSEC, true);
	look(false);
	look_for(9 * MSEC, true);
	ck_assert(!load_rlx(&allp[0].stop));
}
END_TEST

START_TEST(not_where_another_is_used)
{
	fake_start(2);
	unit_spawn();
	look_for(100 * MSEC, true);
	ck_assert(!load_rlx(&allp[0].stop) && !load_rlx(&allp[1].stop));
}
END_TEST

START_TEST(not_with_one)
{
	fake_start(1);
	look_for(100 * MSEC, true);
	ck_assert(!load_rlx(&allp[0].stop));
	ck_assert_int_eq(sched.nprocs, 1);
}
END_TEST

START_TEST(a_full_ring_ends_it)
{
	make_narrow(3);
	runq_put(&allp[0], unit_runnable(), false);
	ck_assert(widens());
	ck_assert_int_eq(sched.nprocs, 3);
}
END_TEST

START_TEST(the_global_queue_ends_it)
{
	make_narrow(2);
	lock(&sched.lock);
	globrunq_put_locked(unit_runnable());
	unlock(&sched.lock);
	ck_assert(widens());
}
END_TEST

/* One in runnext is what a hand-off looks like; the same one, without a switch since, is not. */
START_TEST(one_that_waits_ends_it)
{
	make_narrow(2);
	look(true);
	runq_put(&allp[0], unit_runnable(), true);
	ck_assert(!look(true));
	allp[0].nswitch++;
	ck_assert(!look(true));
	ck_assert(widens());
}
END_TEST

START_TEST(a_slower_pace_ends_it)
{
	make_narrow(2);
	ck_assert(look(false));
	hand_off();
	look(false);
	ck_assert(!is_narrow());
}
END_TEST

static void nothing(struct g *g, uint32_t seq)
{
	(void)g, (void)seq;
}

/* One that is far away does not. */
START_TEST(a_deadline_ends_it)
{
	struct timer t = { 0 };
	make_narrow(2);
	timer_add(&t, fake.now + 20 * LOOK, nothing, NULL, 0);
	for (int i = 0; i < 14; i++)
		ck_assert(!look(true));
	ck_assert(widens());
	ck_assert_int_gt(t.when, fake.now);
	timer_del(&t);
}
END_TEST

/* Each time in vain doubles the while; one that was worth it makes it short again. */
static int64_t time_to_narrow(void)
{
	int64_t begin = fake.now;
	while (!is_narrow()) {
		look(true);
		hand_off();
		fake_settle();
	}
	return fake.now - begin;
}

START_TEST(in_vain)
{
	make_narrow(2);
	look(false);
	hand_off();
	look(true);
	ck_assert(!is_narrow());
	int64_t first = time_to_narrow();
	ck_assert_int_gt(first, 19 * MSEC);
	look(false);
	hand_off();
	look(true);
	int64_t second = time_to_narrow();
	ck_assert_int_gt(second, 39 * MSEC);
	look_for(20 * MSEC, true);
	ck_assert(is_narrow());
	look(false);
	hand_off();
	look(true);
	ck_assert_int_lt(time_to_narrow(), 12 * MSEC);
}
END_TEST

/* GOMAXPROCS as it is asked for is what counts from then on. */
START_TEST(gomaxprocs_is_set_meanwhile)
{
	bool done = false;
	make_narrow(2);
	for (int i = 0; i < 10 && !done; i++) {
		fake_on(NULL);
		fake.now += LOOK;
		done = procresize_step(4, fake.now);
		fake_on(&fake.ms[0]);
		hand_off();
	}
	ck_assert(done);
	fake_settle();
	ck_assert_int_eq(sched.nprocs, 4);
	ck_assert_int_eq(sched.gomaxprocs, 4);
	ck_assert(!one_p);
}
END_TEST

/* An idle process has all its P's, at once. */
START_TEST(idle)
{
	make_narrow(2);
	fake_call(main_g, unit_park, NULL);
	fake_settle();
	fake_on(NULL);
	ck_assert(narrow_end(fake.now));
	ck_assert(!is_narrow());
	fake_settle();
	ck_assert_uint_eq(load_rlx(&sched.npidle), 2);
}
END_TEST

UNIT_MAIN("narrow", after_a_while_alone, not_where_hand_offs_are_rare, not_where_another_is_used, not_with_one,
	  a_full_ring_ends_it, the_global_queue_ends_it, one_that_waits_ends_it, a_slower_pace_ends_it,
	  a_deadline_ends_it, in_vain,
	  gomaxprocs_is_set_meanwhile, idle)
