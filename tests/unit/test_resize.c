/* test_resize.c - GOMAXPROCS while the program runs: P's that go are given up by whoever has them and leave nothing behind;
 * requests from outside reach the function. */
#include "unit.h"
#include "control.h"
#include <errno.h>

#define CODE_QUEUE (-1)
#define CODE_TKILL (-6)

static void with_sysmon(int procs)
{
	fake_start(procs);
	sysmon_start();
	fake_settle();
}

static bool step(int n)
{
	bool done;
	fake_on(NULL);
	done = procresize_step(n, fake.now);
	fake_on(&fake.ms[0]);
	return done;
}

/* Idle: in the list and counted. */
static int idle_ps(void)
{
	int n = 0;
	for (struct p *pp = sched.pidle; pp; pp = pp->link)
		n++;
	ck_assert_uint_eq(load_rlx(&sched.npidle), (uint32_t)n);
	return n;
}

START_TEST(more_ps_are_idle_at_once)
{
	fake_start(2);
	ck_assert(step(5));
	ck_assert_int_eq(sched.gomaxprocs, 5);
	fake_settle();
	ck_assert_int_eq(idle_ps(), 4);
	ck_assert_ptr_eq(m0.p, &allp[0]);
}
END_TEST

START_TEST(new_ps_get_the_work_that_waits)
{
	fake_start(2);
	unit_spawn();
	struct g *a = unit_runnable(), *b = unit_runnable();
	runq_put(&allp[0], a, false);
	runq_put(&allp[0], b, false);
	ck_assert(step(4));
	fake_settle();
	ck_assert_uint_eq(load_rlx(&a->status), Grunning);
	ck_assert_uint_eq(load_rlx(&b->status), Grunning);
	ck_assert_int_eq(idle_ps(), 0);
}
END_TEST

START_TEST(idle_ps_go_at_once)
{
	fake_start(8);
	ck_assert(step(3));
	ck_assert_int_eq(sched.gomaxprocs, 3);
	fake_settle();
	ck_assert_int_eq(idle_ps(), 2);
	for (int i = 3; i < 8; i++)
		ck_assert_uint_eq(load_rlx(&allp[i].status), Pdead);
}
END_TEST

/* The P's that stay do not notice. */
START_TEST(a_running_g_is_preempted_and_runs_elsewhere)
{
	fake_start(3);
	struct g *g = unit_spawn(), *h = unit_spawn(), *stays = g->m->p->id == 1 ? g : h, *goes = stays == g ? h : g;
	struct m *of = goes->m;
	ck_assert_int_eq(goes->m->p->id, 2);
	ck_assert(!step(2));
	ck_assert_int_eq(fake.kicks, 1);
	ck_assert_ptr_eq(fake.kicked, of);
	ck_assert_uint_eq(load_rlx(&goes->preempt), 1);
	ck_assert_uint_eq(load_rlx(&stays->preempt), 0);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 0);
	fake_call(goes, (void (*)(void *))preempt_park, NULL);
	fake_settle();
	ck_assert(step(2));
	ck_assert_int_eq(sched.gomaxprocs, 2);
	ck_assert_ptr_null(of->p);
	ck_assert_uint_eq(load_rlx(&goes->status), Grunnable);
	ck_assert_uint_eq(load_rlx(&stays->status), Grunning);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
}
END_TEST

START_TEST(it_is_asked_again_every_ms_only)
{
	fake_start(2);
	struct g *g = unit_spawn();
	ck_assert(!step(1));
	for (int i = 0; i < 9; i++) {
		fake.now += 100 * USEC;
		ck_assert(!step(1));
	}
	ck_assert_int_eq(fake.kicks, 1);
	fake.now += 100 * USEC;
	ck_assert(!step(1));
	ck_assert_int_eq(fake.kicks, 2);
	ck_assert_int_eq(sched.gomaxprocs, 2);
	ck_assert_uint_eq(load_rlx(&g->preempt), 1);
}
END_TEST

START_TEST(queues_of_a_p_that_goes_become_global)
{
	fake_start(4);
	struct g *g = unit_spawn(), *a = unit_runnable(), *b = unit_runnable(), *next = unit_runnable();
	struct p *pp = g->m->p;
	ck_assert_int_eq(pp->id, 1);
	fake_on(fake_of(g->m));
	runq_put(pp, a, false);
	runq_put(pp, b, false);
	runq_put(pp, next, true);
	fake_on(&fake.ms[0]);
	ck_assert(!step(1));
	fake_call(g, (void (*)(void *))preempt_park, NULL);
	ck_assert(!step(1)); /* P 0 is still to stop: alone on it, its holder uses no locks */
	ck_assert(runq_empty(pp));
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 4);
	ck_assert(!one_p);
	fake.now += MSEC;
	step(1);
	ck_assert_uint_eq(load_rlx(&main_g->preempt), 1);
	fake_call(main_g, (void (*)(void *))preempt_park, NULL);
	ck_assert(step(1));
	ck_assert(one_p);
	fake_settle();
	ck_assert_int_eq(sched.gomaxprocs, 1);
	ck_assert_int_eq(idle_ps(), 0);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Prunning);
}
END_TEST

static void sleeps(void *until)
{
	sleep_until(*(int64_t *)until);
}

START_TEST(timers_move_to_p_0)
{
	int64_t when = FAKE_START_NS + 500 * MSEC;
	with_sysmon(3);
	struct g *g = unit_spawn();
	struct p *pp = g->m->p;
	fake_call(g, sleeps, &when);
	ck_assert_ptr_eq(load_rlx(&g->timer.pp), pp);
	for (int i = 0; i < 10 && !step(2); i++)
		fake_until(fake.now + MSEC);
	if (pp->id == 2)
		ck_assert_ptr_eq(load_rlx(&g->timer.pp), &allp[0]);
	while (!step(1)) {
		if (load_rlx(&main_g->preempt))
			fake_call(main_g, (void (*)(void *))preempt_park, NULL);
		fake.now += MSEC;
		fake_settle();
	}
	ck_assert_ptr_eq(load_rlx(&g->timer.pp), &allp[0]);
	ck_assert_int_eq(pp->timers.len, 0);
	ck_assert_int_eq(timers_next(), when);
	fake_until(when + 30 * MSEC);
	if (load_rlx(&main_g->preempt)) /* the fake's kicks reach nobody */
		fake_call(main_g, (void (*)(void *))preempt_park, NULL);
	ck_assert_uint_ne(load_rlx(&g->status), Gwaiting);
}
END_TEST

static void calls(void *unused)
{
	long args[6] = { 0 };
	(void)unused;
	blocking_syscall(getg(), 1, args);
}

START_TEST(the_p_of_a_system_call_is_retaken)
{
	fake_start(2);
	struct g *g = unit_spawn();
	struct m *m = g->m;
	fake_call(g, calls, NULL);
	ck_assert_uint_eq(load_rlx(&allp[1].status), Psyscall);
	step(1);
	ck_assert_uint_eq(load_rlx(&allp[1].status), Pdead);
	fake_call(main_g, (void (*)(void *))preempt_park, NULL);
	fake_settle();
	ck_assert(step(1));
	fake_settle();
	fake_return(fake_of(m), 0);
	fake_settle();
	ck_assert_ptr_null(m->p);
	ck_assert_uint_eq(load_rlx(&g->status), Grunnable);
}
END_TEST

START_TEST(down_and_up_again)
{
	fake_start(4);
	ck_assert(step(2));
	ck_assert(step(6));
	fake_settle();
	ck_assert_int_eq(idle_ps(), 5);
	for (int i = 0; i < 6; i++)
		ck_assert(!load_rlx(&allp[i].stop));
}
END_TEST

/* --- requests --- */

static void ask(uint32_t command, int64_t arg)
{
	control.command = command;
	control.arg[0] = arg;
	store_rel(&control.request, load_rlx(&control.request) + 1);
}

START_TEST(a_request_is_done_and_answered)
{
	with_sysmon(2);
	ask(ControlGomaxprocs, 3);
	fake_until(fake.now + 20 * MSEC);
	ck_assert_uint_eq(load_rlx(&control.done), load_rlx(&control.request));
	ck_assert_int_eq(control.result, 2);
	ck_assert_int_eq(sched.gomaxprocs, 3);
}
END_TEST

START_TEST(what_cannot_be_done_is_refused)
{
	static const int64_t bad[] = { 0, -1, MAXPROCS + 1, 1LL << 40 };
	with_sysmon(2);
	for (size_t i = 0; i < nelem(bad); i++) {
		ask(ControlGomaxprocs, bad[i]);
		fake_until(fake.now + 20 * MSEC);
		ck_assert_uint_eq(load_rlx(&control.done), load_rlx(&control.request));
		ck_assert_int_eq(control.result, -EINVAL);
	}
	ask(NControl, 0);
	fake_until(fake.now + 20 * MSEC);
	ck_assert_int_eq(control.result, -ENOSYS);
	ck_assert_int_eq(sched.gomaxprocs, 2);
}
END_TEST

START_TEST(only_the_token_rings)
{
	struct ksiginfo info = { .signo = preempt_signal, .code = CODE_QUEUE, .value = 0 };
	with_sysmon(2);
	fake_call(main_g, unit_park, NULL);
	fake_until(fake.now + 100 * MSEC);
	ck_assert_int_lt(fake.ms[1].until, 0); /* sysmon sleeps for ever */
	ck_assert(!control_rings(&info));
	store_rlx(&control.token, 77);
	ck_assert(!control_rings(&info));
	info.value = 78;
	ck_assert(!control_rings(&info));
	info.value = 77;
	info.code = CODE_TKILL;
	ck_assert(!control_rings(&info));
	info.code = CODE_QUEUE;
	ask(ControlGomaxprocs, 4);
	fake_until(fake.now + 100 * MSEC);
	ck_assert_int_eq(sched.gomaxprocs, 2);
	ck_assert(control_rings(&info));
	fake_until(fake.now + 100 * MSEC);
	ck_assert_int_eq(sched.gomaxprocs, 4);
	ck_assert(control_rings(&info)); /* one that comes late is ours too */
}
END_TEST

UNIT_MAIN("resize", more_ps_are_idle_at_once, new_ps_get_the_work_that_waits, idle_ps_go_at_once,
	  a_running_g_is_preempted_and_runs_elsewhere, it_is_asked_again_every_ms_only, queues_of_a_p_that_goes_become_global,
	  timers_move_to_p_0, the_p_of_a_system_call_is_retaken, down_and_up_again, a_request_is_done_and_answered,
	  what_cannot_be_done_is_refused, only_the_token_rings)
