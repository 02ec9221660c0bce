/* waiters.h - G's that wait on a futex, for the tests of futex*.c. For GOMAXPROCS=1: main_g computes, and run_all lets
 * all others run until they wait again or are through; a waiter that is through parks for good. */
#ifndef PRELOOM_WAITERS_H
#define PRELOOM_WAITERS_H

#include "futex.h"
#include "unit.h"

#define RUNNING 12345 /* has not come back yet */

struct waiter {
	struct g *g;
	uint32_t *addr;
	uint32_t val, bitset;
	int64_t deadline;
	long ret;
};

static uint32_t word;

__attribute__((unused)) static void do_wait(void *arg)
{
	struct waiter *w = arg;
	w->ret = RUNNING;
	w->ret = futex_wait(getg(), (uintptr_t)w->addr, w->val, w->bitset ? w->bitset : ~0u, w->deadline);
}

__attribute__((unused)) static void run_all(void)
{
	for (int i = 0; i < 1000 && (runq_size(&allp[0]) || sched.runq.n); i++) {
		fake_call(main_g, unit_yield, NULL);
		/* Whoever is through stays out of the way. */
		while (unit_curg(0) && unit_curg(0) != main_g)
			fake_call(unit_curg(0), unit_park, NULL);
	}
}

__attribute__((unused)) static void start(struct waiter *w)
{
	fake_first(w->g, do_wait, w);
	runq_put(&allp[0], w->g, false);
	run_all();
	ck_assert_int_eq(w->ret, RUNNING);
	ck_assert_uint_eq(load_rlx(&w->g->status), Gwaiting);
}

__attribute__((unused)) static struct waiter *waiters_on(uint32_t *addr, int n, uint32_t bitset)
{
	static struct waiter pool[64];
	static int used;
	struct waiter *w = &pool[used];
	used += n;
	ck_assert_int_le(used, 64);
	for (int i = 0; i < n; i++) {
		w[i] = (struct waiter){ .g = unit_runnable(), .addr = addr, .val = *addr, .bitset = bitset };
		start(&w[i]);
	}
	return w;
}

__attribute__((unused)) static struct waiter *waiters(int n)
{
	return waiters_on(&word, n, ~0u);
}

__attribute__((unused)) static long wake(uint32_t n)
{
	long r = futex_wake((uintptr_t)&word, n, ~0u);
	run_all();
	return r;
}

__attribute__((unused)) static int done(const struct waiter *w, int n)
{
	int d = 0;
	for (int i = 0; i < n; i++)
		d += w[i].ret != RUNNING;
	return d;
}

__attribute__((unused)) static bool bucket_empty(const uint32_t *addr)
{
	struct futexbucket *b = futex_bucket((uintptr_t)addr);
	return !b->head && !b->tail;
}

/* A word of its own whose bucket is that of addr. */
__attribute__((unused)) static uint32_t *same_bucket(const uint32_t *addr)
{
	static uint32_t many[1 << 16];
	for (size_t i = 0; i < nelem(many); i++)
		if (futex_bucket((uintptr_t)&many[i]) == futex_bucket((uintptr_t)addr))
			return &many[i];
	ck_abort_msg("no word with the same hash");
	return NULL;
}

#endif
