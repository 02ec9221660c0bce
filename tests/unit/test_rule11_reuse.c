/* test_rule11_reuse.c - rule 11: dead G's are reused from per-P lists; there is no limit on G's but memory. */
#include "unit.h"

static struct g *dead(void)
{
	struct g *g = unit_runnable();
	g_setstatus(g, Grunnable, Grunning);
	g_setstatus(g, Grunning, Gdead);
	return g;
}

START_TEST(the_last_that_died_is_used_first)
{
	fake_start(1);
	struct g *a = dead();
	g_free(a);
	ck_assert_ptr_eq(allp[0].gfree, a);
	ck_assert_ptr_eq(g_new(), a);
	ck_assert_ptr_null(allp[0].gfree);
}
END_TEST

START_TEST(an_exit_frees_the_g)
{
	fake_start(1);
	struct g *a = unit_runnable();
	runq_put(&allp[0], a, true);
	fake_call(main_g, unit_yield, NULL);
	ck_assert_ptr_eq(unit_curg(0), a);
	fake_call(a, unit_exit, NULL);
	ck_assert_uint_eq(load_rlx(&a->status), Gdead);
	ck_assert_uint_eq(allp[0].ngfree, 1);
	ck_assert_ptr_eq(unit_curg(0), main_g);
	ck_assert_ptr_eq(g_new(), a);
}
END_TEST

START_TEST(a_thousand_in_a_row_need_one_g)
{
	fake_start(1);
	uint32_t before = g_count();
	for (int i = 0; i < 1000; i++) {
		runq_put(&allp[0], unit_runnable(), true);
		fake_call(main_g, unit_yield, NULL);
		fake_call(unit_curg(0), unit_exit, NULL);
		ck_assert_ptr_eq(unit_curg(0), main_g);
	}
	ck_assert_uint_eq(g_count(), before + 1);
}
END_TEST

/* One P may make G's that die on another: what is too much goes to a common list, and comes from there. */
START_TEST(lists_are_balanced_in_batches)
{
	static struct g *g[200];
	fake_start(2);
	unit_spawn();
	for (int i = 0; i < 200; i++)
		g[i] = unit_runnable();
	for (int i = 0; i < 200; i++) {
		g_setstatus(g[i], Grunnable, Grunning);
		g_setstatus(g[i], Grunning, Gdead);
		g_free(g[i]);
		ck_assert_uint_lt(allp[0].ngfree, 64);
		ck_assert_uint_eq(allp[0].ngfree + sched.ngfree, (uint32_t)i + 1);
	}
	ck_assert_uint_ge(sched.ngfree, 200 - 64);
	uint32_t before = g_count(), shared = sched.ngfree;
	fake_on(&fake.ms[1]);
	ck_assert_ptr_nonnull(g_new());
	ck_assert_uint_eq(allp[1].ngfree, 31);
	ck_assert_uint_eq(sched.ngfree, shared - 32);
	for (int i = 1; i < (int)shared; i++)
		ck_assert_ptr_nonnull(g_new());
	ck_assert_uint_eq(g_count(), before);
}
END_TEST

START_TEST(a_used_g_is_as_good_as_new)
{
	fake_start(1);
	struct g *a = dead();
	a->inshim = 1;
	a->robust_list = 1;
	a->clear_tid = 1;
	a->lockedm = &m0;
	a->name[0] = 'x';
	store_rlx(&a->interrupt, 1);
	store_rlx(&a->sig.mask, ~0ULL);
	uint64_t goid = a->goid;
	uint32_t seq = unit_seq(a), slot = a->slot;
	g_free(a);
	ck_assert_ptr_eq(g_new(), a);
	ck_assert_uint_eq(load_rlx(&a->status), Gidle);
	ck_assert_uint_eq(a->slot, slot);
	ck_assert_uint_gt(a->goid, goid);
	ck_assert_uint_eq(unit_seq(a), seq);
	ck_assert_uint_eq(load_rlx(&a->inshim) + load_rlx(&a->interrupt) + load_rlx(&a->sig.mask), 0);
	ck_assert_uint_eq(a->robust_list + a->clear_tid + (unsigned)a->name[0], 0);
	ck_assert_ptr_null(a->lockedm);
}
END_TEST

START_TEST(no_limit_but_memory)
{
	enum { N = 100000 };
	fake_start(1);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_nonnull(g_new());
	ck_assert_uint_eq(g_count(), N + 1);
	for (uint32_t i = 0; i < g_count(); i++) {
		ck_assert_ptr_nonnull(g_at(i));
		ck_assert_uint_eq(g_at(i)->slot, i);
	}
}
END_TEST

UNIT_MAIN("rule 11: reuse", the_last_that_died_is_used_first, an_exit_frees_the_g, a_thousand_in_a_row_need_one_g,
	  lists_are_balanced_in_batches, a_used_g_is_as_good_as_new, no_limit_but_memory)
