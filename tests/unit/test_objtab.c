/* test_objtab.c - the table of loaded code: whoever stops the process, or interrupts it, at any instruction of a change
 * finds a whole table, the one before or the one after. */
#include "unit.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "objtab.h"

#define MOST 700

static struct unwind_object v[MOST];
static uint64_t looked, torn, unfound;

/* Every entry of a table says how many there are. */
static void fill(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct unwind_object){ .lo = 1000 * (n - i), .hi = 1000 * (n - i) + 900, .info = n, .kind = UnwindElf };
}

/* As from outside: what is in memory now. */
static void look(int sig)
{
	struct unwind_object o;
	const struct objview *view = load_acq(&objtab.view);
	(void)sig;
	looked++;
	for (uint32_t i = 0; i < view->n; i++)
		if (view->v[i].info != view->n || view->v[i].lo != 1000 * (i + 1)) {
			torn++;
			break;
		}
	if (!objtab_find(1000, &o) || o.info != view->n)
		unfound++;
}

START_TEST(no_half_table)
{
	struct sigevent tick = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { { 0, 20000 }, { 0, 20000 } };
	timer_t timer;
	fill(3);
	objtab_set(v, 3);
	signal(SIGUSR1, look);
	ck_assert(timer_create(CLOCK_THREAD_CPUTIME_ID, &tick, &timer) == 0 || timer_create(CLOCK_MONOTONIC, &tick, &timer) == 0);
	ck_assert_int_eq(timer_settime(timer, 0, &often, NULL), 0);
	for (uint32_t i = 0; i < 20000 || looked < 100; i++) {
		uint32_t n = i % 2 ? 3 + i % 200 : MOST - i % 200;
		fill(n);
		objtab_set(v, n);
	}
	timer_delete(timer);
	ck_assert_msg(!torn && !unfound, "%lu looks, %lu at a half table, %lu found nothing", (unsigned long)looked,
		      (unsigned long)torn, (unsigned long)unfound);
}
END_TEST

START_TEST(finds)
{
	struct unwind_object o;
	fill(400); /* in the wrong order */
	objtab_set(v, 400);
	for (uint32_t i = 1; i <= 400; i++) {
		ck_assert(objtab_find(1000 * i, &o) && o.lo == 1000 * i);
		ck_assert(objtab_find(1000 * i + 899, &o) && o.lo == 1000 * i);
		ck_assert(!objtab_find(1000 * i + 900, &o));
	}
	ck_assert(!objtab_find(999, &o));
	fill(1);
	objtab_set(v, 1);
	ck_assert(objtab_find(1000, &o) && !objtab_find(2000, &o));
}
END_TEST

UNIT_MAIN("objtab", finds, no_half_table)
