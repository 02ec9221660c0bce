/* test_stack_ahead.c - stacks that are made ready ahead while threads are made, and those only. */
#include "unit_stack.h"

/* Takes n, a microsecond apart. */
static void burst(int n, size_t size)
{
	for (int i = 0; i < n; i++) {
		get(size);
		fake.now += USEC;
	}
}

static int make_ahead(void)
{
	int n = 0;
	while (stack_make_ahead())
		n++;
	return n;
}

static bool in_memory(const char *page)
{
	unsigned char yes = 0;
	ck_assert_int_eq(mincore((void *)page, PAGE, &yes), 0);
	return yes & 1;
}

/* Its memory is not made by who takes it. */
static bool next_is_ready(void)
{
	int calls = fake.madvises[MADV_POPULATE_WRITE];
	const char *top = get(SIZE) + SIZE - PAGE;
	ck_assert(in_memory(top));
	return fake.madvises[MADV_POPULATE_WRITE] == calls;
}

START_TEST(none_is_made_ready_without_a_burst)
{
	fake_start(2);
	ck_assert(!stack_ahead_wanted());
	ck_assert_int_eq(make_ahead(), 0);
	burst(7, SIZE);
	ck_assert(!stack_ahead_wanted());
	ck_assert_int_eq(make_ahead(), 0);
	for (int i = 0; i < 100; i++) { /* slowly */
		get(SIZE);
		fake.now += MSEC;
	}
	ck_assert_int_eq(make_ahead(), 0);
	burst(100, SIZE);
	fake.now += MSEC; /* it is over */
	ck_assert_int_eq(make_ahead(), 0);
	ck_assert(!stack_ahead_wanted());
}
END_TEST

START_TEST(how_many_are_made_ready)
{
	fake_start(2);
	burst(9, SIZE);
	ck_assert(stack_ahead_wanted());
	ck_assert_int_eq(make_ahead(), 1);
	ck_assert(!stack_ahead_wanted());
	burst(8, SIZE); /* the first of these is that one */
	ck_assert_int_eq(make_ahead(), 2);
	burst(2200, SIZE);
	ck_assert_int_eq(make_ahead(), 32);
	burst(1, SIZE);
	ck_assert_int_eq(make_ahead(), 1);
}
END_TEST

START_TEST(what_is_made_ready_is_taken_next)
{
	fake_start(2);
	burst(100, SIZE);
	ck_assert_int_eq(make_ahead(), 12);
	int guards = fake.madvises[MADV_GUARD_INSTALL];
	for (int i = 0; i < 12; i++) {
		char *p = get(SIZE);
		ck_assert(in_memory(p + SIZE - PAGE));
		ck_assert(in_memory(p + SIZE - 2 * PAGE));
		ck_assert(!in_memory(p + SIZE - 3 * PAGE));
		check_zero(p, SIZE);
	}
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], guards);
	ck_assert(!next_is_ready());
}
END_TEST

/* Only what was made ready is taken for zero, and only once. */
START_TEST(what_was_ready_and_used_is_zeroed)
{
	enum { N = 200 };
	char *p[N];
	fake_start(2);
	burst(100, SIZE);
	make_ahead();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			p[i] = get(SIZE);
			check_zero(p[i], SIZE);
			dirty(p[i], SIZE);
		}
		make_ahead();
		for (int i = 0; i < N; i++)
			stack_free((uintptr_t)p[i], SIZE);
	}
}
END_TEST

START_TEST(a_burst_has_one_size)
{
	fake_start(2);
	for (int i = 0; i < 200; i++) {
		burst(1, SIZE);
		burst(1, 2 * SIZE);
	}
	ck_assert_int_eq(make_ahead(), 0);
	burst(80, SIZE);
	ck_assert_int_gt(make_ahead(), 5);
	int calls = fake.madvises[MADV_POPULATE_WRITE];
	get(2 * SIZE);
	ck_assert_int_eq(fake.madvises[MADV_POPULATE_WRITE], calls + 1);
}
END_TEST

START_TEST(an_m_without_work_makes_them_ready)
{
	rt_opt.cpus = 2;
	fake_start(2);
	burst(100, SIZE);
	wakep();
	fake_settle();
	ck_assert_int_eq(fake.ms[1].state, MPolling);
	for (int i = 0; i < 12; i++)
		ck_assert(next_is_ready());
	ck_assert(!next_is_ready());
}
END_TEST

START_TEST(one_that_finds_work_does_that)
{
	rt_opt.cpus = 2;
	fake_start(2);
	burst(100, SIZE);
	struct g *g = unit_spawn();
	ck_assert(!next_is_ready());
	fake_call(g, unit_park, NULL);
	ck_assert(next_is_ready());
}
END_TEST

/* Two pages at most: what every thread uses. */
START_TEST(the_top_has_memory_when_it_is_taken)
{
	fake_start(1);
	char *p = get(SIZE);
	ck_assert(in_memory(p + SIZE - PAGE) && in_memory(p + SIZE - 2 * PAGE));
	ck_assert(!in_memory(p + SIZE - 3 * PAGE));
	p = get(PAGE + GUARD);
	ck_assert(in_memory(p + GUARD));
	check_zero(p, PAGE + GUARD);
}
END_TEST

START_TEST(or_when_it_is_touched_if_the_kernel_is_old)
{
	fake_start(2);
	fake.no_populate = true;
	char *p = get(SIZE);
	ck_assert(!in_memory(p + SIZE - PAGE));
	check_zero(p, SIZE);
	burst(100, SIZE);
	ck_assert_int_eq(make_ahead(), 12);
	check_zero(get(SIZE), SIZE);
}
END_TEST

/* It would take the CPU from the maker. */
START_TEST(none_is_made_ready_with_too_few_cpus)
{
	rt_opt.cpus = 1;
	fake_start(2);
	burst(100, SIZE);
	wakep();
	fake_settle();
	ck_assert(!next_is_ready());
}
END_TEST

START_TEST(none_is_made_ready_on_one_p)
{
	rt_opt.cpus = 2;
	fake.net_waiting = true;
	fake_start(1);
	burst(100, SIZE);
	fake_call(main_g, unit_park, NULL);
	ck_assert_int_eq(fake.ms[0].state, MPolling);
	ck_assert(!next_is_ready());
}
END_TEST

/* Guards that leave no room for what would be touched. */
START_TEST(no_guard_is_touched)
{
	enum { SMALL = 4 * PAGE };
	fake_start(2);
	for (int i = 0; i < 100; i++) {
		get_guarded(SMALL, 3 * PAGE);
		fake.now += USEC;
	}
	ck_assert_int_eq(make_ahead(), 0);
	get_guarded(SMALL, 3 * PAGE);
}
END_TEST

/* Old kernels: what is made ready has its guard from who takes it. */
START_TEST(ahead_without_guards_in_page_tables)
{
	fake_start(2);
	fake.no_ranges = true;
	fake.guard_error = -EINVAL;
	burst(100, SIZE);
	ck_assert_int_eq(make_ahead(), 12);
	for (int i = 0; i < 300; i++) {
		int before = fake.mprotects;
		char *p = get(SIZE);
		check_zero(p, SIZE);
		ck_assert_msg(fake.mprotects == before + 1, "%d: %d", i, fake.mprotects - before);
		ck_assert_uint_eq(fake.guard_lo, (uintptr_t)p);
		ck_assert_uint_eq(fake.guard_hi, (uintptr_t)p + GUARD);
		fake.now += USEC;
		if (i % 3 == 0)
			make_ahead();
	}
}
END_TEST

/* What nobody takes is not the beginning of more: it is warm, and of those there are never more than 1024. */
START_TEST(bursts_that_end_do_not_add_up)
{
	fake_start(2);
	for (int i = 0; i < 50; i++) {
		burst(400, SIZE << i % 3);
		make_ahead();
		fake.now += MSEC;
	}
	burst(400, SIZE);
	int n = make_ahead();
	ck_assert_int_le(n, 32);
	burst(n + 3 * 32, SIZE);
	ck_assert(!next_is_ready());
}
END_TEST

UNIT_MAIN("stacks made ahead", none_is_made_ready_without_a_burst, how_many_are_made_ready, what_is_made_ready_is_taken_next,
	  what_was_ready_and_used_is_zeroed, a_burst_has_one_size, an_m_without_work_makes_them_ready,
	  one_that_finds_work_does_that, none_is_made_ready_with_too_few_cpus, none_is_made_ready_on_one_p,
	  the_top_has_memory_when_it_is_taken, or_when_it_is_touched_if_the_kernel_is_old, no_guard_is_touched, ahead_without_guards_in_page_tables, bursts_that_end_do_not_add_up)
