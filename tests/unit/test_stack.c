/* test_stack.c - the pool of stacks: zeroed slots, reuse, guards by either way. */
#include "unit_stack.h"

START_TEST(stacks_do_not_overlap)
{
	enum { N = 600 }; /* more than one region's */
	char *p[N];
	fake_start(1);
	for (int i = 0; i < N; i++) {
		p[i] = get(SIZE);
		p[i][GUARD] = p[i][SIZE - 1] = (char)i;
	}
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(p[i][GUARD], (char)i);
		ck_assert_int_eq(p[i][SIZE - 1], (char)i);
		ck_assert(stack_contains((uintptr_t)p[i]));
		ck_assert(stack_contains((uintptr_t)p[i] + SIZE - 1));
	}
}
END_TEST

START_TEST(a_freed_stack_is_used_again_and_zero)
{
	fake_start(1);
	char *p = get(SIZE);
	dirty(p, SIZE);
	ck_assert(stack_free((uintptr_t)p, SIZE));
	ck_assert_ptr_eq(get(SIZE), p);
	check_zero(p, SIZE);
}
END_TEST

#define SHORT (32 << 10)

/* Through every stage that freed stacks go through. Their upper n bytes are zero. */
static void check_many_freed(size_t n)
{
	enum { N = 1400 };
	static char *p[N];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			p[i] = get(SHORT);
			check_zero(p[i] + SHORT - n, n);
			dirty(p[i], SHORT);
		}
		for (int i = 0; i < N; i++)
			ck_assert(stack_free((uintptr_t)p[i * 3 % N], SHORT));
	}
}

START_TEST(many_freed_stacks_are_zero)
{
	fake_start(1);
	check_many_freed(SHORT);
}
END_TEST

/* The kernel drops what mlockall locked only if told so. */
START_TEST(freed_stacks_are_zero_where_memory_is_locked)
{
	fake_start(1);
	fake.locked = true;
	check_many_freed(SHORT);
}
END_TEST

/* Or not even then: glibc's descriptor is zero all the same. */
START_TEST(their_tops_are_where_the_kernel_keeps_it)
{
	fake_start(1);
	fake.locked = fake.locked_stays = true;
	check_many_freed(2 * PAGE + GUARD);
}
END_TEST

/* The child of a vfork, made while another M was in the middle of it. */
START_TEST(a_vfork_leaves_free_stacks_behind)
{
	enum { N = 100 };
	static char *p[N];
	fake_start(1);
	for (int i = 0; i < N; i++)
		p[i] = get(SIZE);
	for (int i = 0; i < N; i++)
		stack_free((uintptr_t)p[i], SIZE);
	fake_on(NULL); /* another's lock */
	stack_lock();
	fake_on(&fake.ms[0]);
	stack_after_vfork();
	for (int i = 0; i < N; i++) {
		char *q = get(SIZE);
		check_zero(q, SIZE);
		for (int k = 0; k < N; k++)
			ck_assert_ptr_ne(q, p[k]);
	}
}
END_TEST

START_TEST(no_stack_is_handed_out_twice)
{
	enum { N = 200, SMALL = 32 << 10 };
	char *p[N];
	fake_start(1);
	for (int i = 0; i < N; i++)
		p[i] = get(SMALL);
	for (int round = 0; round < 50; round++)
		for (int i = round % 3; i < N; i += 3) {
			stack_free((uintptr_t)p[i], SMALL);
			if (i % 2)
				p[i] = get(SMALL);
			else
				p[i] = NULL;
			for (int k = i % 2 ? 0 : N; k < N; k++)
				if (k != i && p[k] == p[i])
					ck_abort_msg("stack %d is stack %d", i, k);
			if (!p[i])
				p[i] = get(SMALL);
		}
}
END_TEST

START_TEST(sizes_have_their_own_regions)
{
	fake_start(1);
	char *p = get(SIZE), *q = get(2 * SIZE);
	stack_free((uintptr_t)p, SIZE);
	ck_assert_ptr_ne(get(2 * SIZE), p);
	ck_assert_ptr_eq(get(SIZE), p);
	stack_free((uintptr_t)q, 2 * SIZE);
	ck_assert_ptr_eq(get(2 * SIZE), q);
}
END_TEST

START_TEST(what_is_freed_does_not_stay_in_memory)
{
	enum { N = 100 };
	char *p[N];
	fake_start(1);
	for (int i = 0; i < N; i++)
		p[i] = get(SIZE);
	for (int i = 0; i < N; i++)
		stack_free((uintptr_t)p[i], SIZE);
	ck_assert_int_gt(fake.madvises[MADV_DONTNEED], 0);
}
END_TEST

/* With sysmon they cool first: as they were, taken again before clean ones, and given back when nobody took them. */
START_TEST(many_freed_stacks_cool)
{
	enum { N = 400 };
	static char *p[N];
	fake_start(1);
	sched.sysmon_started = true;
	stack_tick(fake.now);
	for (int i = 0; i < N; i++) {
		p[i] = get(SIZE);
		p[i][SIZE - 1] = p[i][SIZE / 2] = 1;
	}
	for (int i = 0; i < N; i++)
		stack_free((uintptr_t)p[i], SIZE);
	ck_assert_int_eq(fake.madvises[MADV_DONTNEED], 0);
	ck_assert(stack_is_cooling());
	for (int i = 0; i < 50; i++)
		check_zero(p[i] = get(SIZE), SIZE);
	stack_tick(fake.now + 100 * MSEC);
	int before = fake.madvises[MADV_DONTNEED];
	stack_tick(fake.now + 199 * MSEC);
	ck_assert_int_eq(fake.madvises[MADV_DONTNEED], before);
	for (int i = 0; i < 20; i++)
		stack_tick(fake.now + (200 + i) * MSEC);
	ck_assert_int_gt(fake.madvises[MADV_DONTNEED], before);
	ck_assert(!stack_is_cooling());
	for (int i = 0; i < N - 50; i++)
		check_zero(get(SIZE), SIZE);
}
END_TEST

START_TEST(those_that_are_taken_again_and_again_stay)
{
	enum { N = 200 };
	static char *p[N];
	fake_start(1);
	sched.sysmon_started = true;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++)
			p[i] = get(SIZE);
		int cooled = fake.madvises[MADV_DONTNEED];
		for (int i = 0; i < N; i++)
			stack_free((uintptr_t)p[i], SIZE);
		stack_tick(fake.now + round * 100 * MSEC);
		ck_assert_msg(fake.madvises[MADV_DONTNEED] == cooled, "round %d: %d, %d", round, fake.madvises[MADV_DONTNEED], cooled);
	}
}
END_TEST

START_TEST(bounds_of_a_stack)
{
	uintptr_t lo, hi;
	fake_start(1);
	uintptr_t p = (uintptr_t)get(SIZE), q = (uintptr_t)get(SIZE);
	ck_assert(stack_bounds(p + 5000, &lo, &hi));
	ck_assert_uint_eq(lo, p);
	ck_assert_uint_eq(hi, p + SIZE);
	ck_assert(stack_bounds(q + SIZE - 1, &lo, &hi));
	ck_assert_uint_eq(lo, q);
	ck_assert(!stack_bounds((uintptr_t)&lo, &lo, &hi));
	ck_assert(!stack_contains((uintptr_t)&lo));
}
END_TEST

START_TEST(memory_of_others_is_not_freed)
{
	static char other[PAGE];
	fake_start(1);
	get(SIZE);
	ck_assert(!stack_free((uintptr_t)other, PAGE));
}
END_TEST

/* A part that is unmapped is dropped, but the slot stays in use until the last part goes. */
START_TEST(a_stack_may_be_unmapped_in_parts)
{
	fake_start(1);
	char *p = get(SIZE);
	dirty(p, SIZE);
	ck_assert(stack_free((uintptr_t)p, SIZE / 2));
	ck_assert_int_eq(p[GUARD], 0);
	ck_assert_int_eq(p[SIZE / 2], 0x55);
	ck_assert_ptr_ne(get(SIZE), p);
	ck_assert(stack_free((uintptr_t)p + SIZE / 2, SIZE / 2));
	ck_assert_ptr_eq(get(SIZE), p);
	check_zero(p, SIZE);
}
END_TEST

/* --- guards --- */

START_TEST(a_guard_costs_no_map_entry)
{
	fake_start(1);
	fake.no_ranges = true;
	uintptr_t p = (uintptr_t)get(SIZE);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], 1);
	ck_assert_int_eq(fake.mprotects, 0);
	ck_assert_uint_eq(fake.guard_lo, p);
	ck_assert_uint_eq(fake.guard_hi, p + GUARD);
}
END_TEST

START_TEST(programs_that_close_the_guard_themselves)
{
	fake_start(1);
	uintptr_t p = (uintptr_t)stack_alloc(SIZE);
	ck_assert_int_eq(stack_guard(p, 0), 0); /* mapped open */
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], 0);
	ck_assert_int_eq(stack_protect(p, GUARD, PROT_NONE), 0);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], 1);
	ck_assert_uint_eq(fake.guard_lo, p);
	ck_assert_uint_eq(fake.guard_hi, p + GUARD);
}
END_TEST

START_TEST(the_next_user_finds_the_guard_in_place)
{
	fake_start(1);
	fake.no_ranges = true;
	char *p = get(SIZE);
	stack_free((uintptr_t)p, SIZE);
	ck_assert_ptr_eq(get(SIZE), p);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], 1);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_REMOVE], 0);
}
END_TEST

START_TEST(the_next_user_may_want_another_guard)
{
	fake_start(1);
	fake.no_ranges = true;
	char *p = get(SIZE);
	stack_free((uintptr_t)p, SIZE);
	ck_assert_ptr_eq(get_guarded(SIZE, 4 * PAGE), p);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], 2);
	ck_assert_uint_eq(fake.guard_lo, (uintptr_t)p + PAGE);
	ck_assert_uint_eq(fake.guard_hi, (uintptr_t)p + 4 * PAGE);
	stack_free((uintptr_t)p, SIZE);
	ck_assert_ptr_eq(get_guarded(SIZE, 0), p);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_REMOVE], 1);
}
END_TEST

/* 1, then 3, 7 and 15 at a time beside the one that is wanted. */
START_TEST(guards_are_made_ahead)
{
	fake_start(1);
	stack_free((uintptr_t)get(PAGE * 8), PAGE * 8); /* counts for nothing here: another size */
	int before = fake.madvises[MADV_GUARD_INSTALL];
	for (int i = 0; i < 2; i++)
		get(SIZE);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], before + 2);
	get(SIZE);
	int made = fake.madvises[MADV_GUARD_INSTALL];
	ck_assert_int_gt(made, before + 2);
	get(SIZE);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], made);
}
END_TEST

START_TEST(a_guard_made_ahead_may_be_the_wrong_one)
{
	fake_start(1);
	get(SIZE);
	char *q = get_guarded(SIZE, 0);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_REMOVE], 1);
	stack_free((uintptr_t)q, SIZE);
	ck_assert_ptr_eq(get_guarded(SIZE, 2 * PAGE), q);
	ck_assert_uint_eq(fake.guard_lo, (uintptr_t)q);
	ck_assert_uint_eq(fake.guard_hi, (uintptr_t)q + 2 * PAGE);
}
END_TEST

START_TEST(without_ranges_each_guard_is_made_by_itself)
{
	fake_start(1);
	fake.no_ranges = true;
	for (int i = 0; i < 10; i++) {
		uintptr_t p = (uintptr_t)get(SIZE);
		ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], i + 1);
		ck_assert_uint_eq(fake.guard_lo, p);
	}
}
END_TEST

START_TEST(an_old_kernel_has_guards_by_mprotect)
{
	fake_start(1);
	fake.guard_error = -EINVAL;
	uintptr_t p = (uintptr_t)get(SIZE);
	ck_assert_int_eq(fake.mprotects, 1);
	ck_assert_uint_eq(fake.guard_lo, p);
	ck_assert_uint_eq(fake.guard_hi, p + GUARD);
	int asked = fake.madvises[MADV_GUARD_INSTALL];
	uintptr_t q = (uintptr_t)get(SIZE);
	ck_assert_int_eq(fake.madvises[MADV_GUARD_INSTALL], asked); /* not asked again */
	ck_assert_int_eq(fake.mprotects, 2);
	ck_assert_uint_eq(fake.guard_lo, q);
}
END_TEST

START_TEST(another_error_is_the_caller_s)
{
	fake_start(1);
	fake.guard_error = -ENOMEM;
	uintptr_t p = (uintptr_t)stack_alloc(SIZE);
	ck_assert_int_eq(stack_protect(p + GUARD, SIZE - GUARD, RW), -ENOMEM);
	ck_assert_int_eq(fake.mprotects, 0);
}
END_TEST

UNIT_MAIN("stack pool", stacks_do_not_overlap, a_freed_stack_is_used_again_and_zero, many_freed_stacks_are_zero,
	  freed_stacks_are_zero_where_memory_is_locked, their_tops_are_where_the_kernel_keeps_it,
	  a_vfork_leaves_free_stacks_behind, no_stack_is_handed_out_twice, sizes_have_their_own_regions,
	  what_is_freed_does_not_stay_in_memory, many_freed_stacks_cool, those_that_are_taken_again_and_again_stay,
	  bounds_of_a_stack, memory_of_others_is_not_freed, a_stack_may_be_unmapped_in_parts, a_guard_costs_no_map_entry,
	  programs_that_close_the_guard_themselves, the_next_user_finds_the_guard_in_place,
	  the_next_user_may_want_another_guard, guards_are_made_ahead, a_guard_made_ahead_may_be_the_wrong_one,
	  without_ranges_each_guard_is_made_by_itself, an_old_kernel_has_guards_by_mprotect, another_error_is_the_caller_s)
