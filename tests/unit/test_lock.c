/* test_lock.c - the runtime's lock, its ranks, notes, and memory of the runtime's own. */
#include "unit.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

static struct lock l = LOCK_INIT(RankSched), higher = LOCK_INIT(RankAlloc), lower = LOCK_INIT(RankFutex);

START_TEST(a_held_lock_is_not_to_be_had)
{
	fake_start(1);
	ck_assert(trylock(&l));
	fake_on(NULL);
	ck_assert(!trylock(&l));
	fake_on(&fake.ms[0]);
	unlock(&l);
	ck_assert(trylock(&l));
	unlock(&l);
	ck_assert_uint_eq(load_rlx(&l.v), 0);
}
END_TEST

/* Real threads, which are foreign to the runtime. */
static long counter;

static void *count(void *unused)
{
	(void)unused;
	fake_on(NULL);
	for (int i = 0; i < 20000; i++) {
		lock(&l);
		counter++;
		unlock(&l);
	}
	return NULL;
}

START_TEST(it_excludes)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(counter, 80000);
	ck_assert_uint_eq(load_rlx(&l.v), 0);
}
END_TEST

/* --- ranks, which Debug builds check --- */

static void upward(void *unused)
{
	(void)unused;
	lock(&l);
	lock(&higher);
	unlock(&higher);
	lock(&higher);
	unlock(&l);
	unlock(&higher);
}

static void downward(void *unused)
{
	(void)unused;
	lock(&l);
	lock(&lower);
}

static void the_same(void *unused)
{
	static struct lock other = LOCK_INIT(RankSched);
	(void)unused;
	lock(&l);
	lock(&other);
}

static void two_buckets(void *unused)
{
	static struct lock other = LOCK_INIT(RankFutex);
	(void)unused;
	lock(&lower);
	lock(&other);
	unlock(&other);
	unlock(&lower);
}

START_TEST(ranks_ascend)
{
	fake_start(1);
	ck_assert_ptr_null(fake_throw(upward, NULL));
	ck_assert_ptr_null(fake_throw(two_buckets, NULL));
}
END_TEST

#ifdef PRELOOM_DEBUG
START_TEST(a_lower_rank_throws)
{
	fake_start(1);
	ck_assert_ptr_nonnull(fake_throw(downward, NULL));
}
END_TEST

START_TEST(the_same_rank_throws)
{
	fake_start(1);
	ck_assert_ptr_nonnull(fake_throw(the_same, NULL));
}
END_TEST
#endif

/* --- notes --- */

static _Atomic uint32_t note;
static bool awake;

static void sleep_on_note(void *ns)
{
	awake = false;
	note_sleep(&note, (int64_t)(intptr_t)ns);
	awake = true;
}

START_TEST(a_wake_ends_the_sleep_and_is_used_up)
{
	fake_start(1);
	ck_assert(!fake_call(main_g, sleep_on_note, (void *)-1));
	fake_settle();
	ck_assert(!awake);
	note_wake(&note);
	fake_settle();
	ck_assert(awake);
	ck_assert_uint_eq(load_rlx(&note), 0);
	ck_assert(!fake_call(main_g, sleep_on_note, (void *)-1));
}
END_TEST

START_TEST(a_wake_before_the_sleep_counts)
{
	fake_start(1);
	note_wake(&note);
	ck_assert(fake_call(main_g, sleep_on_note, (void *)-1));
	ck_assert(!fake_call(main_g, sleep_on_note, (void *)-1));
}
END_TEST

START_TEST(a_sleep_with_an_end)
{
	fake_start(1);
	ck_assert(!fake_call(main_g, sleep_on_note, (void *)(intptr_t)MSEC));
	fake_until(fake.now + MSEC - 1);
	ck_assert(!awake);
	fake_until(fake.now + 1);
	ck_assert(awake);
}
END_TEST

/* A handler may take signals in while the M sleeps, and only then. */
START_TEST(the_m_says_that_it_sleeps)
{
	fake_start(1);
	fake_call(main_g, sleep_on_note, (void *)-1);
	ck_assert_uint_eq(load_rlx(&m0.waitsig), 1);
	note_wake(&note);
	fake_settle();
	ck_assert_uint_eq(load_rlx(&m0.waitsig), 0);
}
END_TEST

/* --- memory --- */

START_TEST(memory_is_zero_and_apart)
{
	fake_start(1);
	char *p[100];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			size_t n = (size_t)i * 37 + 1;
			p[i] = rt_alloc(n);
			for (size_t k = 0; k < n; k++)
				ck_assert_int_eq(p[i][k], 0);
			memset(p[i], i + 1, n);
		}
		for (int i = 0; i < 100; i++) {
			ck_assert_int_eq(p[i][0], i + 1);
			ck_assert_int_eq(p[i][i * 37], i + 1);
			rt_free(p[i], (size_t)i * 37 + 1);
		}
	}
}
END_TEST

START_TEST(large_blocks_come_from_the_kernel)
{
	fake_start(1);
	char *p = rt_alloc(1 << 20);
	p[(1 << 20) - 1] = 1;
	p = rt_grow(p, 1 << 20, 2 << 20);
	ck_assert_int_eq(p[(1 << 20) - 1], 1);
	ck_assert_int_eq(p[1 << 20], 0);
	rt_free(p, 2 << 20);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { a_held_lock_is_not_to_be_had, it_excludes, ranks_ascend,
#ifdef PRELOOM_DEBUG
				       a_lower_rank_throws, the_same_rank_throws,
#endif
				       a_wake_ends_the_sleep_and_is_used_up, a_wake_before_the_sleep_counts,
				       a_sleep_with_an_end, the_m_says_that_it_sleeps, memory_is_zero_and_apart,
				       large_blocks_come_from_the_kernel };
	(void)downward;
	(void)the_same;
	return unit_main("lock", tests, nelem(tests));
}
