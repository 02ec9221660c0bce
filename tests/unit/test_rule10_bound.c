/* test_rule10_bound.c - rule 10: kernel threads are bounded; past the bound blocking calls queue, and one warning is
 * printed. As many M's as there are P's are kept for G's that run: a call past that is tried and, when sysmon finds that
 * it holds up its P, ended and queued. */
#include "unit.h"
#include <string.h>

static void long_call(void *nr)
{
	long args[6] = { 0 };
	blocking_syscall_long(getg(), (long)nr, args);
}

/* n more G's that block. */
static void blockers(int n)
{
	for (int i = 0; i < n; i++) {
		struct g *g = unit_runnable();
		fake_first(g, long_call, (void *)61);
		runq_put(&allp[0], g, false);
	}
}

static int in_calls(void)
{
	int n = 0;
	for (int i = 0; i < fake.nms; i++)
		n += fake.ms[i].state == MCall;
	return n;
}

static void bounded(int procs, uint32_t max)
{
	rt_opt.maxthreads = max;
	fake_start(procs);
	ck_assert_uint_eq(sched.maxm, max);
}

static int count(const char *text, const char *what)
{
	int n = 0;
	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

START_TEST(no_more_m_s_than_the_bound)
{
	bounded(1, 4);
	blockers(10);
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	ck_assert_int_eq(fake.nms, 4);
	ck_assert_uint_eq(sched.nm, 4);
	ck_assert_int_eq(in_calls(), 4);
	ck_assert_int_eq(load_rlx(&sched.nmblocked), 3);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Psyscall);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
	ck_assert_uint_eq(runq_size(&allp[0]) + load_rlx(&sched.runqsize), 7);
}
END_TEST

static struct fake_m *in_call(const struct p *holding)
{
	for (int k = 0; k < fake.nms; k++)
		if (fake.ms[k].state == MCall && (!holding || load_rlx(&fake.ms[k].m->oldp) == holding))
			return &fake.ms[k];
	return NULL;
}

static struct g *with_sysmon(int procs, uint32_t max, int calls)
{
	bounded(procs, max);
	sysmon_start();
	blockers(calls - 1);
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	struct fake_m *last = in_call(&allp[0]);
	ck_assert_ptr_nonnull(last);
	return last->m->curg;
}

/* sysmon sends the signal; the kernel then ends the call. */
static void ended_by_signal(struct g *g)
{
	int kicks = fake.kicks;
	fake_until(fake.now + 100 * USEC);
	ck_assert_int_gt(fake.kicks, kicks);
	ck_assert_ptr_eq(fake.kicked, g->m);
	fake_return(fake_of(g->m), -4);
	fake_settle();
}

START_TEST(a_call_that_holds_up_its_p_waits_in_the_queue)
{
	struct g *g = with_sysmon(1, 4, 6);
	ck_assert_uint_eq(load_rlx(&g->status), Gsyscall);
	ended_by_signal(g);
	ck_assert_uint_eq(load_rlx(&g->status), Gwaiting);
	ck_assert_int_eq(g->waitreason, WaitM);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 1);
	/* The next G has the P, and it is the next one's turn to be tried. */
	struct fake_m *next = in_call(&allp[0]);
	ck_assert_ptr_nonnull(next);
	ck_assert_ptr_ne(next->m->curg, g);
	ck_assert_int_eq(fake.nms, 5);
}
END_TEST

START_TEST(not_if_nobody_needs_the_p)
{
	struct g *g = with_sysmon(2, 4, 3);
	fake_until(fake.now + 5 * MSEC);
	ck_assert_int_eq(fake.kicks, 0);
	ck_assert_uint_eq(load_rlx(&g->status), Gsyscall);
}
END_TEST

START_TEST(an_m_that_comes_back_lets_the_first_go_on)
{
	struct g *a = with_sysmon(1, 3, 4);
	ended_by_signal(a);
	struct g *b = in_call(&allp[0])->m->curg;
	for (int k = 0; k < fake.nms; k++)
		if (fake.ms[k].state == MCall && fake.ms[k].m->curg != b) {
			fake_return(&fake.ms[k], 0);
			break;
		}
	fake_settle();
	ck_assert_int_eq(load_rlx(&sched.nmblocked), 1);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 0);
	ck_assert_uint_eq(load_rlx(&a->status), Grunnable);
}
END_TEST

/* What it waits for may have come, though no M did. */
START_TEST(sysmon_gives_it_another_try_after_10_ms)
{
	struct g *g = with_sysmon(1, 3, 3);
	runq_put(&allp[0], unit_runnable(), false); /* computes */
	ended_by_signal(g);
	ck_assert_uint_eq(load_rlx(&g->status), Gwaiting);
	fake_until(fake.now + 30 * MSEC);
	ck_assert_uint_eq(load_rlx(&g->status), Grunnable);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 0);
}
END_TEST

/* Nobody comes back from a counted call where there are no more M's than P's. */
START_TEST(it_gets_another_try_as_soon_as_nobody_needs_a_p)
{
	struct g *g = with_sysmon(2, 2, 2);
	ended_by_signal(g);
	ck_assert_uint_eq(load_rlx(&g->status), Gwaiting);
	struct fake_m *next = in_call(NULL);
	ck_assert_ptr_nonnull(next);
	int64_t then = fake.now;
	fake_return(next, 0);
	fake_call(next->m->curg, unit_exit, NULL);
	fake_settle();
	ck_assert_int_eq(fake.now, then);
	ck_assert_uint_eq(load_rlx(&g->status), Gsyscall);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 0);
	ck_assert_int_eq(load_acq(&sched.lastpoll), 0); /* the other M watches deadlines */
}
END_TEST

START_TEST(a_signal_for_it_ends_the_wait)
{
	struct g *g = with_sysmon(1, 3, 3);
	runq_put(&allp[0], unit_runnable(), false);
	ended_by_signal(g);
	store_rlx(&g->interrupt, 1);
	ck_assert(wake_g(g, unit_seq(g), WakeSignal));
	fake_call(unit_curg(fake.nms - 1), unit_park, NULL);
	fake_settle();
	ck_assert_uint_eq(load_rlx(&g->status), Grunning);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 0);
}
END_TEST

/* A timeout would begin anew: such a call is not ended but takes an M. */
START_TEST(some_calls_are_not_ended)
{
	bounded(1, 3);
	sysmon_start();
	for (int i = 0; i < 3; i++) {
		struct g *g = unit_runnable();
		fake_first(g, long_call, (void *)220); /* semtimedop */
		runq_put(&allp[0], g, false);
	}
	fake_call(main_g, unit_park, NULL);
	fake_settle();
	runq_put(&allp[0], unit_runnable(), false);
	fake_until(fake.now + MSEC);
	ck_assert_int_eq(fake.kicks, 0);
	ck_assert_int_eq(in_calls(), 3);
	ck_assert_uint_eq(load_rlx(&allp[0].status), Pidle);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 1);
}
END_TEST

START_TEST(one_warning)
{
	struct g *g = with_sysmon(1, 4, 12);
	for (int i = 0; i < 8; i++) {
		ended_by_signal(g);
		g = in_call(&allp[0])->m->curg;
	}
	ck_assert_int_eq(count(fake.text, "preloom: "), 1);
	ck_assert_ptr_nonnull(strstr(fake.text, "4 kernel threads are in use (PRELOOM=maxthreads)"));
}
END_TEST

START_TEST(each_time_the_p_stays_idle_and_nobody_counts_as_spinning)
{
	bounded(3, 1);
	for (int i = 0; i < 3; i++) {
		startm(NULL, false);
		wakep();
		ck_assert_uint_eq(load_rlx(&sched.npidle), 2);
		ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
	}
	ck_assert_int_eq(fake.nms, 1);
	ck_assert_int_eq(count(fake.text, "preloom: "), 1);
}
END_TEST

START_TEST(none_below_the_bound)
{
	bounded(1, 5); /* one watches timers and descriptors */
	blockers(3);
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	ck_assert_int_eq(in_calls(), 4);
	ck_assert_int_eq((int)fake.text_len, 0);
}
END_TEST

/* All calls come to their end, never more than four of them in the kernel. */
START_TEST(the_others_wait_their_turn)
{
	int ended = 0;
	with_sysmon(1, 4, 21);
	for (int i = 0; i < 1000 && ended < 21; i++) {
		struct fake_m *fm = in_call(NULL);
		ck_assert_int_le(in_calls(), 4);
		ck_assert_int_le(fake.nms, 5);
		if (fm && i % 3 == 0) {
			fake_return(fm, 0);
			ended++;
		} else if ((fm = in_call(&allp[0])) && load_rlx(&fm->m->curg->queuem)) {
			fake_return(fm, -4);
		}
		fake_settle();
		/* The G whose call has returned, and which computes, ends. */
		for (int k = 0; k < fake.nms; k++)
			if (fake.ms[k].state == MUser && fake.ms[k].m->curg != main_g)
				fake_call(fake.ms[k].m->curg, unit_exit, NULL);
			else if (fake.ms[k].state == MUser)
				fake_call(main_g, unit_park, NULL);
		fake_until(fake.now + 100 * USEC);
	}
	ck_assert_int_eq(ended, 21);
	fake_until(fake.now + 20 * MSEC);
	for (int k = 0; k < fake.nms; k++)
		if (fake.ms[k].state == MUser && fake.ms[k].m->curg != main_g)
			fake_call(fake.ms[k].m->curg, unit_exit, NULL);
	ck_assert_int_eq(in_calls(), 0);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 0);
	ck_assert_int_eq(load_rlx(&sched.nmblocked), 0);
	ck_assert_uint_eq(load_rlx(&sched.ngs), 1);
}
END_TEST

START_TEST(an_idle_m_does_not_count_as_needed)
{
	bounded(1, 3);
	for (int round = 0; round < 5; round++) {
		blockers(1);
		fake_call(main_g, unit_yield, NULL);
		fake_settle();
		ck_assert_int_eq(in_calls(), 1);
		for (int k = 0; k < fake.nms; k++)
			if (fake.ms[k].state == MCall)
				fake_return(&fake.ms[k], 0);
		fake_settle();
		if (load_rlx(&main_g->status) == Grunnable)
			for (int k = 0; k < fake.nms; k++)
				if (fake.ms[k].state == MUser)
					fake_call(fake.ms[k].m->curg, unit_exit, NULL);
		fake_settle();
		ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
		while (sched.runq.n) {
			fake_call(main_g, unit_yield, NULL);
			fake_settle();
			for (int k = 0; k < fake.nms; k++)
				if (fake.ms[k].state == MUser && fake.ms[k].m->curg != main_g)
					fake_call(fake.ms[k].m->curg, unit_exit, NULL);
			fake_settle();
		}
	}
	ck_assert_int_le(fake.nms, 3);
	ck_assert_int_eq((int)fake.text_len, 0);
}
END_TEST

/* The kernel may refuse earlier (RLIMIT_NPROC, pids cgroup). */
START_TEST(a_refusal_of_the_kernel_is_no_end)
{
	bounded(2, 100);
	fake.newm_error = -11;
	struct g *a = unit_parked(WaitFutex);
	ready(a);
	ck_assert_uint_eq(sched.nm, 1);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 1);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
	ck_assert_ptr_eq(load_rlx(&allp[0].runnext), a);
	fake.newm_error = 0;
	ready(unit_parked(WaitFutex)); /* the kernel is not asked each time */
	ck_assert_uint_eq(sched.nm, 1);
	bound_tick(fake.now + 101 * MSEC);
	ready(unit_parked(WaitFutex));
	ck_assert_uint_eq(sched.nm, 2);
}
END_TEST

/* The only M is in a call when another G, whose sleep is over, needs it: the call is ended and queues. */
START_TEST(a_call_is_ended_where_no_m_is_to_be_had)
{
	bounded(1, 100);
	sysmon_start();
	struct g *a = unit_parked(WaitSleep);
	timer_add(&a->timer, fake.now + 5 * MSEC, timer_wake, a, unit_seq(a));
	fake.newm_error = -11;
	fake_call(main_g, long_call, (void *)73);
	fake_until(fake.now + 40 * MSEC);
	ck_assert_int_gt(fake.kicks, 0);
	ck_assert_ptr_eq(fake.kicked, &m0);
	ck_assert_uint_eq(load_rlx(&main_g->queuem), 1);
	fake_return(&fake.ms[0], -4);
	fake_settle();
	ck_assert_int_eq(main_g->waitreason, WaitM);
	ck_assert_ptr_eq(unit_curg(0), a);
}
END_TEST

/* A P that gets no M may have G's in its ring, from which nobody steals. */
static void unconditional_call(void *unused)
{
	long args[6] = { 0 };
	(void)unused;
	entersyscall_block(61);
	arch_blocking_syscall(61, args, &getg()->interrupt);
	exitsyscall();
}

static void leave_work_behind(void)
{
	struct g *other = unit_spawn(), *a = unit_runnable(), *b = unit_runnable();
	struct p *pp = other->m->p;
	int ms = fake.nms;
	runq_put(pp, a, false);
	runq_put(pp, b, true);
	fake.newm_error = rt_opt.maxthreads > 10 ? -11 : 0;
	fake_call(other, unconditional_call, NULL);
	ck_assert_int_eq(fake.nms, ms);
	ck_assert_uint_eq(load_rlx(&pp->status), Pidle);
	fake_call(main_g, unit_park, NULL);
	for (int i = 0; i < 2; i++) {
		struct g *g = unit_curg(0);
		ck_assert(g == a || g == b);
		fake_call(g, unit_park, NULL);
	}
}

START_TEST(no_g_is_left_behind_at_the_bound)
{
	bounded(2, 2);
	leave_work_behind();
}
END_TEST

START_TEST(no_g_is_left_behind_after_a_refusal)
{
	bounded(2, 100);
	leave_work_behind();
}
END_TEST

static void sleep_on(void *until)
{
	sleep_until((int64_t)(uintptr_t)until);
}

static void uninterrupted_call(void *unused)
{
	long args[6] = { 0 };
	(void)unused;
	blocking_syscall(getg(), 220, args);
}

/* The P whose heap they are in gets no M, and the other one always has G's to run. */
START_TEST(deadlines_of_a_p_without_an_m_are_seen_to)
{
	bounded(2, 2);
	sysmon_start();
	struct g *a = unit_spawn(), *b = unit_runnable();
	struct p *pp = a->m->p;
	int64_t when = fake.now + 3 * MSEC;
	fake_first(b, uninterrupted_call, NULL);
	runq_put(pp, b, false);
	fake_call(a, sleep_on, (void *)(uintptr_t)when);
	ck_assert_int_eq(load_acq(&pp->timers.first), when);
	ck_assert_uint_eq(load_rlx(&pp->status), Psyscall);
	fake_until(when - MSEC);
	runq_put(&allp[0], unit_runnable(), false);
	fake_until(when + 2 * MSEC);
	ck_assert_uint_eq(load_rlx(&pp->status), Pidle);
	ck_assert_int_eq(load_acq(&pp->timers.first), 0);
	fake_call(main_g, unit_yield, NULL);
	ck_assert_uint_ne(load_rlx(&a->status), Gwaiting);
	ck_assert(!runq_empty(&allp[0]));
}
END_TEST

/* All M's are in calls for a while; the first to come back takes another P, and has enough to do. */
START_TEST(so_they_are_after_all_were_idle)
{
	bounded(2, 2);
	sysmon_start();
	struct g *a = unit_spawn(), *b = unit_runnable();
	int64_t when = fake.now + 12 * MSEC;
	fake_first(b, uninterrupted_call, NULL);
	runq_put(&allp[0], b, false);
	fake_call(main_g, sleep_on, (void *)(uintptr_t)when);
	fake_call(a, uninterrupted_call, NULL);
	store_rlx(&sched.nwaitm, 1); /* then sysmon sleeps for 10 ms at most */
	fake_until(when + 2 * MSEC);
	fake_until(fake.ms[1].until + 100 * USEC);
	ck_assert_int_gt(fake.ms[1].until, fake.now + 9 * MSEC); /* it has just gone to sleep */
	ck_assert(fake.ms[1].m->sysmon);
	ck_assert_uint_eq(load_rlx(&sched.npidle), 2);
	fake_return(fake_of(a->m), 0);
	ck_assert_ptr_eq(a->m->p, &allp[1]);
	runq_put(&allp[1], unit_runnable(), false);
	fake_until(fake.now + 200 * USEC);
	fake_call(a, unit_yield, NULL);
	ck_assert_uint_ne(load_rlx(&main_g->status), Gwaiting);
}
END_TEST

UNIT_MAIN("rule 10: bounded kernel threads", no_more_m_s_than_the_bound, one_warning,
	  a_call_that_holds_up_its_p_waits_in_the_queue, not_if_nobody_needs_the_p,
	  an_m_that_comes_back_lets_the_first_go_on, sysmon_gives_it_another_try_after_10_ms,
	  it_gets_another_try_as_soon_as_nobody_needs_a_p, a_signal_for_it_ends_the_wait, some_calls_are_not_ended,
	  each_time_the_p_stays_idle_and_nobody_counts_as_spinning, none_below_the_bound,
	  the_others_wait_their_turn, an_idle_m_does_not_count_as_needed, a_refusal_of_the_kernel_is_no_end, a_call_is_ended_where_no_m_is_to_be_had,
	  no_g_is_left_behind_at_the_bound, no_g_is_left_behind_after_a_refusal,
	  deadlines_of_a_p_without_an_m_are_seen_to, so_they_are_after_all_were_idle)
