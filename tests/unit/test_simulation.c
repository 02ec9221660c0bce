/* test_simulation.c - G's that lock, wait with timeouts, sleep, yield, block in calls and are preempted, on several M's, in
 * a random order of events from a seed. Nothing may be lost: in the end every G has done its share, every P is idle and
 * nobody spins. A failure names its seed.
 */
#include "unit.h"
#include "futex.h"

#define NG 24
#define ROUNDS 30

static uint32_t mutex, gate; /* 0 free, 1 held, 2 held and waited for; a counter */
static uint32_t seed;
static int inside, finished;
static int64_t total;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void mutex_lock(void)
{
	if (mutex == 0) {
		mutex = 1;
		return;
	}
	do {
		mutex = 2;
		futex_wait(getg(), (uintptr_t)&mutex, 2, ~0u, rnd(4) ? 0 : os_nanotime() + rnd(50000));
	} while (mutex != 0);
	mutex = 2;
}

static void mutex_unlock(void)
{
	uint32_t old = mutex;
	mutex = 0;
	if (old == 2)
		futex_wake((uintptr_t)&mutex, 1, ~0u);
}

static void one_thing(void)
{
	long args[6] = { 0 };
	switch (rnd(9)) {
	case 0:
		goyield();
		break;
	case 1:
		sleep_until(os_nanotime() + rnd(200000));
		break;
	case 2:
		blocking_syscall(getg(), 35, args);
		break;
	case 3:
		blocking_syscall_long(getg(), 61, args);
		break;
	case 4:
		preempt_park();
		break;
	case 5:
		futex_wait(getg(), (uintptr_t)&gate, gate, ~0u, os_nanotime() + rnd(300000));
		break;
	case 6:
		gate++;
		futex_wake((uintptr_t)&gate, rnd(8), ~0u);
		break;
	default:
		mutex_lock();
		ck_assert_int_eq(inside++, 0);
		if (rnd(3) == 0)
			goyield();
		else if (rnd(3) == 0)
			sleep_until(os_nanotime() + rnd(20000));
		inside--;
		mutex_unlock();
	}
	total++;
}

static void life(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++)
		one_thing();
	finished++;
	thread_exit(0);
}

static void parent(void *unused)
{
	(void)unused;
	for (int i = 0; i < NG; i++) {
		struct g *g = g_new();
		fake_first(g, life, NULL);
		thread_start(g);
		if (rnd(3) == 0)
			goyield();
	}
	unit_park(NULL);
}

/* Calls return at random times. */
static void end_some_calls(void)
{
	for (int i = 0; i < fake.nms; i++)
		if (fake.ms[i].state == MCall && rnd(3) == 0) {
			struct g *g = fake.ms[i].m->curg;
			fake_return(&fake.ms[i], rnd(8) && !load_rlx(&g->queuem) ? 0 : -4);
		}
}

static int refuses; /* how often in a hundred the kernel makes no thread */

static void simulate(int procs, uint32_t s)
{
	uint32_t step = refuses ? 1000000 : 60000; /* that it refuses costs turns of milliseconds */
	seed = s * 2654435761u + 12345;
	fake.seed = seed | 1;
	fake_start(procs);
	sysmon_start();
	fake_call(main_g, parent, NULL);
	/* Mostly some 300 turns, at most 700. */
	for (int i = 0; i < 1500 && finished < NG; i++) {
		fake.newm_error = refuses && (int)rnd(100) < refuses ? -11 : 0;
		fake_until(fake.now + rnd(step));
		end_some_calls();
	}
	if (finished < NG) {
		dump_all(2, 0);
		ck_abort_msg("GOMAXPROCS=%d seed %u: %d of %d are through\n%s", procs, s, finished, NG, fake.text);
	}
	ck_assert_int_eq(total, NG * ROUNDS);
	fake_until(fake.now + 100 * MSEC);
	if (!rt_opt.chaos)
		ck_assert_int_eq(sched.gomaxprocs, procs);
	ck_assert_uint_eq(load_rlx(&sched.npidle), (uint32_t)sched.gomaxprocs);
	ck_assert_uint_eq(load_rlx(&sched.nmspinning), 0);
	ck_assert_uint_eq(load_rlx(&sched.runqsize), 0);
	ck_assert_uint_eq(load_rlx(&sched.nwaitm), 0);
	ck_assert_int_eq(load_rlx(&sched.nmblocked), 0);
	ck_assert_uint_le(sched.nm, sched.maxm);
	ck_assert_int_eq(timers_next(), 0);
	for (int i = 0; i < MAXPROCS; i++)
		ck_assert(runq_empty(&allp[i]));
}

START_TEST(on_one_p)
{
	simulate(1, (uint32_t)_i);
}
END_TEST

START_TEST(on_two_ps)
{
	simulate(2, (uint32_t)_i);
}
END_TEST

START_TEST(on_four_ps)
{
	simulate(4, (uint32_t)_i);
}
END_TEST

START_TEST(in_chaos)
{
	rt_opt.chaos = (uint64_t)_i + 1;
	simulate(3, (uint32_t)_i);
}
END_TEST

/* The least that is allowed, as many as P's, and one or two more. */
START_TEST(at_the_bound)
{
	rt_opt.maxthreads = (uint32_t)(2 + _i % 4);
	simulate(1 + _i % 3, (uint32_t)_i);
}
END_TEST

/* Always after the first one, or now and then. */
START_TEST(where_the_kernel_refuses_threads)
{
	refuses = _i % 2 ? 100 : 50;
	simulate(1 + _i % 3, (uint32_t)_i);
}
END_TEST

START_TEST(where_idle_ms_look_on)
{
	rt_opt.cpus = 2;
	simulate(2, (uint32_t)_i);
}
END_TEST

int main(void)
{
	return unit_loop("one P", on_one_p, 20) | unit_loop("two P's", on_two_ps, 20) |
	       unit_loop("four P's", on_four_ps, 20) | unit_loop("chaos", in_chaos, 20) |
	       unit_loop("at the bound on M's", at_the_bound, 36) |
	       unit_loop("refused threads", where_the_kernel_refuses_threads, 36) |
	       unit_loop("looking on", where_idle_ms_look_on, 10);
}
