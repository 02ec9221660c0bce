/* test_prof.c - the profiles' tables: equal stacks and threads are one place, what has none is not lost, sums stay right when
 * waits are sampled, and a fork begins anew. */
#include "unit.h"
#include <pthread.h>
#include "prof.h"
#include "unwind.h"

/* A space without code: every frame's caller is what the frame pointer says. */
static uint64_t chain[64][2];

static int read_chain(void *ctx, void *to, uintptr_t from, size_t n)
{
	(void)ctx;
	if (from < (uintptr_t)chain || from + n > (uintptr_t)(chain + 64))
		return -1;
	memcpy(to, (const void *)from, n);
	return 0;
}

static bool all_code(void *ctx, uintptr_t pc, struct unwind_object *o)
{
	(void)ctx;
	*o = (struct unwind_object){ .lo = 0, .hi = UINTPTR_MAX, .kind = UnwindElf };
	return pc >= 0x1000;
}

static struct unwind_space space = { read_chain, all_code, NULL, NULL, 0 };

/* The stack pc, first, first + 16, first + 32, … of n frames. */
static uint32_t stack(uintptr_t pc, uintptr_t first, int n)
{
	struct unwind u;
	for (int i = 0; i + 1 < n; i++) {
		chain[i][0] = i + 2 < n ? (uintptr_t)chain[i + 1] : 0;
		chain[i][1] = first + 16u * (unsigned)i;
	}
	const uint64_t reg[UNWIND_REGS] = { [UNWIND_FP] = n > 1 ? (uintptr_t)chain[0] : 0, [UNWIND_SP] = (uintptr_t)chain,
					    [UNWIND_PC] = pc };
	unwind_start(&u, &space, reg, false);
	return prof_stack_of(&u, false);
}

static const struct prof_bucket *bucket_of(enum prof_type t, uint32_t stack, uint32_t label, uint32_t state)
{
	const struct prof_bucket *b = load_rlx(&prof.kind[t].bucket);
	for (uint32_t i = 0; i < PROF_BUCKETS; i++)
		if (load_rlx(&b[i].key) == PROF_KEY(stack, label, state))
			return &b[i];
	return NULL;
}

static void begin(void)
{
	fake_start(1);
	for (int t = 0; t < NProf; t++)
		ck_assert(prof_tables(t));
}

START_TEST(equal_stacks_are_one)
{
	begin();
	uint32_t a = stack(0x5000, 0x2000, 5), b = stack(0x5000, 0x2000, 6), c = stack(0x5001, 0x2000, 5);
	ck_assert(a && b && c && a != b && a != c && b != c);
	ck_assert_uint_eq(stack(0x5000, 0x2000, 5), a);
	const struct prof_stack *s = &load_rlx(&prof.stacks)[a - 1];
	ck_assert_uint_eq(load_rlx(&s->n), 5);
	ck_assert_uint_eq(prof.words[load_rlx(&s->at) - 1], 0x5000 - 1);
	ck_assert_uint_eq(prof.words[load_rlx(&s->at)], 0x2000 - 1);
}
END_TEST

START_TEST(counts_add_up)
{
	begin();
	struct g *g = unit_runnable();
	memcpy(g->name, "first", 6);
	uint32_t s = stack(0x5000, 0x2000, 3), l = prof_label_of(g);
	for (int i = 0; i < 100; i++)
		prof_count(ProfCpu, s, l, ProfRunning, 1, 10);
	prof_count(ProfCpu, s, l, ProfSyscall, 1, 7);
	prof_count(ProfCpu, s, 0, ProfRunning, 1, 5);
	ck_assert_uint_eq(load_rlx(&bucket_of(ProfCpu, s, l, ProfRunning)->count), 100);
	ck_assert_uint_eq(load_rlx(&bucket_of(ProfCpu, s, l, ProfRunning)->value), 1000);
	ck_assert_uint_eq(load_rlx(&bucket_of(ProfCpu, s, l, ProfSyscall)->value), 7);
	memcpy(g->name, "second", 7);
	ck_assert_uint_eq(prof_label_of(g), l);
	ck_assert_str_eq((const char *)prof.labels[l - 1].name, "second");
	ck_assert_uint_eq(prof.labels[l - 1].goid, g->goid);
}
END_TEST

/* More threads than there are places: they share one in the end, and nothing is lost. */
START_TEST(a_full_table_keeps_counting)
{
	begin();
	uint32_t s = stack(0x5000, 0x2000, 3), n = 2 * PROF_BUCKETS;
	uint64_t sum = 0;
	for (uint32_t i = 1; i <= n; i++)
		prof_count(ProfWall, s, i, 0, 1, 1);
	const struct prof_bucket *b = load_rlx(&prof.kind[ProfWall].bucket);
	for (uint32_t i = 0; i < PROF_BUCKETS; i++)
		sum += load_rlx(&b[i].value);
	ck_assert_uint_eq(sum, n);
	ck_assert_uint_eq(load_rlx(&prof.kind[ProfWall].lost), 0);
	ck_assert(load_rlx(&bucket_of(ProfWall, s, 0, 0)->value) > n / 4);
}
END_TEST

#define THREADS 4
#define EACH 200000

static void *counts(void *arg)
{
	for (uint32_t i = 0; i < EACH; i++)
		prof_count(ProfBlock, 1 + i % 500, 1 + i % 7, 1, 1, 2);
	return arg;
}

START_TEST(many_at_once)
{
	pthread_t t[THREADS];
	uint64_t count = 0, value = 0, keys = 0;
	begin();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, counts, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	const struct prof_bucket *b = load_rlx(&prof.kind[ProfBlock].bucket);
	for (uint32_t i = 0; i < PROF_BUCKETS; i++) {
		count += load_rlx(&b[i].count);
		value += load_rlx(&b[i].value);
		keys += load_rlx(&b[i].key) != 0;
	}
	ck_assert_uint_eq(count, THREADS * EACH);
	ck_assert_uint_eq(value, 2 * THREADS * EACH);
	ck_assert_uint_eq(keys, 500 * 7);
}
END_TEST

START_TEST(a_fork_begins_anew)
{
	begin();
	uint32_t s = stack(0x5000, 0x2000, 3);
	prof_count(ProfCpu, s, 0, ProfRunning, 1, 10);
	store_rlx(&prof.kind[ProfCpu].running, 1);
	atomic_fetch_or(&inspect_flags, InspectProf | InspectTrace);
	prof_after_fork(&m0);
	ck_assert_uint_eq(load_rlx(&inspect_flags), InspectTrace);
	ck_assert(!load_rlx(&prof.kind[ProfCpu].running));
	ck_assert_ptr_null(load_rlx(&prof.kind[ProfCpu].bucket));
	ck_assert(prof_tables(ProfCpu));
	ck_assert_ptr_null(bucket_of(ProfCpu, s, 0, ProfRunning));
}
END_TEST

UNIT_MAIN("prof", equal_stacks_are_one, counts_add_up, a_full_table_keeps_counting, many_at_once, a_fork_begins_anew)
