/* test_rule10_bound.c - rule 10: kernel threads are bounded; past the bound blocking calls queue, and one warning is
 * printed. */
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
	ck_assert_uint_eq(load_rlx(&sched.npidle), 1);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
	ck_assert_uint_eq(runq_size(&allp[0]) + load_rlx(&sched.runqsize), 7);
}
END_TEST

START_TEST(one_warning)
{
	bounded(2, 4);
	blockers(10);
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	for (int i = 0; i < 8; i++) {
		for (int k = 0; k < fake.nms; k++)
			if (fake.ms[k].state == MCall) {
				fake_return(&fake.ms[k], 0);
				break;
			}
		fake_settle();
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

/* All calls are made in the end, each when one before it has returned. */
START_TEST(the_others_wait_their_turn)
{
	bounded(1, 4);
	blockers(20);
	fake_call(main_g, long_call, (void *)61);
	fake_settle();
	int calls = in_calls();
	for (int i = 0; i < 21; i++) {
		ck_assert_int_eq(in_calls(), 21 - i < 4 ? 21 - i : 4);
		for (int k = 0; k < fake.nms; k++)
			if (fake.ms[k].state == MCall) {
				fake_return(&fake.ms[k], 0);
				break;
			}
		/* The G whose call has returned, and which computes, ends. */
		for (int k = 0; k < fake.nms; k++)
			if (fake.ms[k].state == MUser && fake.ms[k].m->curg != main_g)
				fake_call(fake.ms[k].m->curg, unit_exit, NULL);
			else if (fake.ms[k].state == MUser)
				fake_call(main_g, unit_park, NULL);
		fake_settle();
	}
	ck_assert_int_eq(calls, 4);
	ck_assert_int_eq(in_calls(), 0);
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
	ready(unit_parked(WaitFutex));
	ck_assert_uint_eq(sched.nm, 2);
}
END_TEST

/* A P that gets no M may have G's in its ring, from which nobody steals. */
static void leave_work_behind(void)
{
	struct g *other = unit_spawn(), *a = unit_runnable(), *b = unit_runnable();
	struct p *pp = other->m->p;
	int ms = fake.nms;
	runq_put(pp, a, false);
	runq_put(pp, b, true);
	fake.newm_error = rt_opt.maxthreads > 10 ? -11 : 0;
	fake_call(other, long_call, (void *)61);
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

UNIT_MAIN("rule 10: bounded kernel threads", no_more_m_s_than_the_bound, one_warning,
	  each_time_the_p_stays_idle_and_nobody_counts_as_spinning, none_below_the_bound,
	  the_others_wait_their_turn, an_idle_m_does_not_count_as_needed, a_refusal_of_the_kernel_is_no_end,
	  no_g_is_left_behind_at_the_bound, no_g_is_left_behind_after_a_refusal)
