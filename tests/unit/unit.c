/* unit.c - see unit.h. */
#include "unit.h"
#include <stdlib.h>

static int run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	srunner_set_fork_status(sr, CK_FORK);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int unit_main(const char *name, const TTest *const tests[], int n)
{
	Suite *s = suite_create(name);
	for (int i = 0; i < n; i++) {
		TCase *tc = tcase_create(tests[i]->name);
		tcase_set_timeout(tc, 30);
		tcase_add_test(tc, tests[i]);
		suite_add_tcase(s, tc);
	}
	return run(s);
}

int unit_loop(const char *name, const TTest *test, int n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(test->name);
	tcase_add_loop_test(tc, test, 0, n);
	suite_add_tcase(s, tc);
	return run(s);
}

struct g *unit_runnable(void)
{
	struct g *g = g_new();
	ck_assert_ptr_nonnull(g);
	g_setstatus(g, Gidle, Grunnable);
	atomic_fetch_add(&sched.ngs, 1);
	return g;
}

struct g *unit_parked(enum waitreason why)
{
	struct g *g = unit_runnable();
	g_setstatus(g, Grunnable, Grunning);
	uint32_t seq = wait_begin(g, why);
	g_setstatus(g, Grunning, Gwaiting);
	store_rel(&g->wait, (uint64_t)seq << 32 | WaitParked);
	return g;
}

uint32_t unit_seq(const struct g *g)
{
	return (uint32_t)(load_acq(&g->wait) >> 32);
}

struct g *unit_spawn(void)
{
	struct g *g = unit_runnable();
	lock(&sched.lock);
	globrunq_put_locked(g);
	unlock(&sched.lock);
	startm(NULL, false);
	fake_settle();
	ck_assert_uint_eq(load_acq(&g->status), Grunning);
	ck_assert_int_eq(fake_of(g->m)->state, MUser);
	return g;
}

void unit_net_event(struct g *g)
{
	ck_assert_int_eq(wait_claim(g, unit_seq(g), WakeReady), ClaimParked);
	gqueue_push(&fake.net, g);
}

void unit_park(void *unused)
{
	(void)unused;
	struct g *g = getg();
	wait_begin(g, WaitFutex);
	wait_park(g);
}

void unit_yield(void *unused)
{
	(void)unused;
	goyield();
}

void unit_exit(void *unused)
{
	(void)unused;
	thread_exit(0);
}

struct g *unit_take(void)
{
	bool inherit;
	return findrunnable_try(getm(), &inherit);
}

struct g *unit_curg(int m)
{
	ck_assert_int_lt(m, fake.nms);
	return fake.ms[m].m->curg;
}
