/* test_g.c - the table of G's: identities, lookups, and the legal changes of a status. Reuse is rule 11. */
#include "unit.h"
#include <linux/futex.h>
#include <string.h>

START_TEST(the_main_g_keeps_the_pid)
{
	fake_start(1);
	ck_assert_uint_eq(main_g->tid, 1000);
	ck_assert_uint_eq(main_g->goid, 1);
	ck_assert_ptr_eq(g_by_tid(1000), main_g);
	ck_assert_uint_eq(load_rlx(&main_g->status), Grunning);
}
END_TEST

/* Above any pid of the kernel, and what futex words have room for. */
START_TEST(ids_fit_a_futex)
{
	fake_start(1);
	for (int i = 0; i < 1000; i++) {
		struct g *g = unit_runnable();
		ck_assert_uint_gt(g->tid, 1u << 22);
		ck_assert_uint_eq(g->tid & FUTEX_TID_MASK, g->tid);
		ck_assert_ptr_eq(g_by_tid(g->tid), g);
	}
}
END_TEST

START_TEST(numbers_rise_in_the_order_of_creation)
{
	fake_start(1);
	uint64_t last = main_g->goid;
	for (int i = 0; i < 100; i++) {
		struct g *g = unit_runnable();
		ck_assert_uint_eq(g->goid, last + 1);
		last = g->goid;
		g_setstatus(g, Grunnable, Grunning);
		g_setstatus(g, Grunning, Gdead);
		g_free(g);
	}
}
END_TEST

START_TEST(nobody_has_an_unknown_id)
{
	fake_start(1);
	struct g *g = unit_runnable();
	ck_assert_ptr_null(g_by_tid(0));
	ck_assert_ptr_null(g_by_tid(1001));
	ck_assert_ptr_null(g_by_tid(g->tid + 1));
	ck_assert_ptr_null(g_by_tid(g->tid + (1u << 21)));
	ck_assert_uint_eq(g->tid >> 28, 2);
	ck_assert_ptr_null(g_by_tid(0x3fffffff));
}
END_TEST

/* A dead thread's id finds nobody, and does not come back with the next user of its G. */
START_TEST(an_id_dies_with_its_thread)
{
	fake_start(1);
	struct g *g = unit_runnable();
	uint32_t seen[120];
	for (int i = 0; i < 120; i++) {
		uint32_t tid = seen[i] = g->tid;
		for (int k = 0; k < i; k++)
			ck_assert_uint_ne(seen[k], tid);
		g_setstatus(g, Grunnable, Grunning);
		g_setstatus(g, Grunning, Gdead);
		ck_assert_ptr_null(g_by_tid(tid));
		g_free(g);
		ck_assert_ptr_eq(unit_runnable(), g);
		ck_assert_ptr_null(g_by_tid(tid));
	}
}
END_TEST

START_TEST(g_s_lie_apart)
{
	fake_start(1);
	struct g *a = g_new(), *b = g_new();
	ck_assert_ptr_ne(a, b);
	ck_assert_uint_ne(a->slot, b->slot);
	ck_assert_ptr_eq(g_at(a->slot), a);
	ck_assert_ptr_eq(g_at(b->slot), b);
}
END_TEST

/* --- legal edges --- */

static const bool legal[6][6] = {
	[Gidle] = { [Grunnable] = true, [Grunning] = true, [Gdead] = true },
	[Grunnable] = { [Grunning] = true },
	[Grunning] = { [Grunnable] = true, [Gsyscall] = true, [Gwaiting] = true, [Gdead] = true },
	[Gsyscall] = { [Grunning] = true, [Grunnable] = true },
	[Gwaiting] = { [Grunnable] = true },
	[Gdead] = { [Gidle] = true },
};

struct edge {
	struct g *g;
	enum gstatus from, to;
};

static void go(void *arg)
{
	struct edge *e = arg;
	g_setstatus(e->g, e->from, e->to);
}

/* A throw ends the process: each pair of states is a test of its own. */
START_TEST(the_edges_of_the_table)
{
	fake_start(1);
	struct edge e = { g_new(), (enum gstatus)(_i / 6), (enum gstatus)(_i % 6) };
	store_rlx(&e.g->status, e.from);
	const char *thrown = fake_throw(go, &e);
	if (legal[e.from][e.to]) {
		ck_assert_ptr_null(thrown);
		ck_assert_uint_eq(load_rlx(&e.g->status), e.to);
	} else {
		ck_assert_msg(thrown != NULL, "%d to %d", e.from, e.to);
	}
}
END_TEST

START_TEST(from_a_state_that_it_is_not_in)
{
	fake_start(1);
	struct edge e = { main_g, Gwaiting, Grunnable };
	const char *thrown = fake_throw(go, &e);
	ck_assert_ptr_nonnull(thrown);
	ck_assert_ptr_nonnull(strstr(thrown, "preloom: fatal error: g_setstatus"));
	ck_assert_ptr_nonnull(strstr(thrown, "goroutine 1 [running]"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { the_main_g_keeps_the_pid, ids_fit_a_futex, numbers_rise_in_the_order_of_creation,
				       nobody_has_an_unknown_id, an_id_dies_with_its_thread, g_s_lie_apart,
				       from_a_state_that_it_is_not_in };
	int failed = unit_main("G's", tests, nelem(tests));
	return failed | unit_loop("legal edges", the_edges_of_the_table, 36);
}
