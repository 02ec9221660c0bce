/* test_tracebuf.c - the scheduler trace in the process: what is written for what happens, what is counted as lost. */
#include "tracebuf.h"
#include "unit.h"
#include <string.h>

static const struct trace_event *next_event(int *chunk, uint32_t *i)
{
	const struct trace_pool *pool = load_rlx(&tracebuf.pool);
	for (; (uint64_t)*chunk < pool->nchunks; (*chunk)++, *i = 0) {
		const struct trace_chunk *c = &pool->chunk[*chunk];
		uint32_t n = load_rlx(&c->n) < TRACE_EVENTS ? load_rlx(&c->n) : TRACE_EVENTS;
		if (c->session == load_rlx(&tracebuf.session) && *i < n)
			return &c->ev[(*i)++];
	}
	return NULL;
}

/* The n-th event of a type, of one G; NULL: there are fewer. */
static const struct trace_event *find(enum trace_type type, const struct g *g, int n)
{
	const struct trace_event *e;
	int chunk = 0;
	uint32_t i = 0;
	while ((e = next_event(&chunk, &i)))
		if (e->type == type && (!g || e->g == g->goid) && n-- == 0)
			return e;
	return NULL;
}

static uint64_t count_events(void)
{
	uint64_t n = 0;
	int chunk = 0;
	uint32_t i = 0;
	while (next_event(&chunk, &i))
		n++;
	return n;
}

START_TEST(nothing_is_written_when_off)
{
	fake_start(1);
	struct g *g = unit_parked(WaitFutex);
	ready(g);
	ck_assert_ptr_null(load_rlx(&tracebuf.pool));
	ck_assert_ptr_null(load_rlx(&m0.trace));
}
END_TEST

START_TEST(states_at_the_start)
{
	fake_start(2);
	struct g *g = unit_parked(WaitIORead);
	g->wait_fd = 7;
	ck_assert_int_eq(trace_start(0), 0);
	ck_assert_uint_eq(find(TraceProcs, NULL, 0)->n, 2);
	const struct trace_event *e = find(TraceState, g, 0);
	ck_assert_uint_eq(e->sub, Gwaiting);
	ck_assert_uint_eq(e->n, WaitIORead);
	ck_assert_uint_eq(e->arg, 7);
	e = find(TraceState, main_g, 0);
	ck_assert_uint_eq(e->sub, Grunning);
	ck_assert_int_eq(e->p, 0);
}
END_TEST

/* Park with what it waits on, ready with who did it and how, run on which P: in this order. */
START_TEST(a_wait_and_its_end)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	static uint32_t word = 2;
	main_g->wait_addr = (uintptr_t)&word;
	fake_call(main_g, unit_park, NULL);
	const struct trace_event *park = find(TracePark, main_g, 0);
	ck_assert_ptr_nonnull(park);
	ck_assert_uint_eq(park->arg, (uintptr_t)&word);
	ck_assert_uint_eq(park->n, 2);
	ck_assert_int_eq(park->p, 0);
	ck_assert(wake_g(main_g, unit_seq(main_g), WakeTimeout));
	const struct trace_event *ready = find(TraceReady, main_g, 0);
	ck_assert_uint_eq(ready->sub, WakeTimeout);
	fake_settle();
	const struct trace_event *run = find(TraceRun, main_g, 0);
	ck_assert_uint_le(load_rlx(&park->ticks), load_rlx(&ready->ticks));
	ck_assert_uint_le(load_rlx(&ready->ticks), load_rlx(&run->ticks));
	ck_assert_int_eq(run->p, 0);
	ck_assert_uint_eq(load_rlx(&tracebuf.unwritten), 0);
}
END_TEST

static void call(void *nr)
{
	long args[6] = { 0 };
	blocking_syscall(getg(), (long)nr, args);
}

START_TEST(a_system_call)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	fake_call(main_g, call, (void *)35);
	fake_return(&fake.ms[0], 0);
	ck_assert_uint_eq(find(TraceEnter, main_g, 0)->n, 35);
	ck_assert_uint_eq(find(TraceLeave, main_g, 0)->sub, LeaveKept);
}
END_TEST

START_TEST(an_end_carries_the_name)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	memcpy(main_g->name, "sixteen letters", GNAME_LEN);
	fake.exits = true;
	trace_exit(main_g);
	const struct trace_event *e = find(TraceName, NULL, 0);
	ck_assert_uint_eq(e->n, main_g->goid);
	ck_assert_int_eq(memcmp(&e->g, "sixteen letters", GNAME_LEN), 0);
	ck_assert_uint_eq(find(TraceExit, main_g, 0)->n, main_g->tid);
}
END_TEST

/* Every event is there, or counted; and what is left has nothing missing behind complete_from. */
START_TEST(the_oldest_give_way_and_are_counted)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	uint64_t before = count_events(), total = 100000;
	for (uint64_t i = 0; i < total; i++)
		trace_g(TraceYield, main_g, 0, i);
	uint64_t lost = load_rlx(&tracebuf.overwritten), left = count_events();
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(lost + left, total + before);
	ck_assert_uint_le(left, TRACE_MIN_BYTES / sizeof(struct trace_event));
	const struct trace_event *e;
	uint64_t first = total, newest = 0;
	int chunk = 0;
	uint32_t i = 0;
	while ((e = next_event(&chunk, &i))) {
		ck_assert_uint_ge(load_rlx(&e->ticks), load_rlx(&tracebuf.complete_from));
		first = e->arg < first ? e->arg : first;
		newest = e->arg > newest ? e->arg : newest;
	}
	ck_assert_uint_eq(newest, total - 1);
	ck_assert_uint_eq(newest - first + 1, left);
}
END_TEST

/* A chunk that its M still holds is passed over, not taken. */
START_TEST(a_held_chunk_is_kept)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	struct m other = { .self = &other, .id = 99 };
	arch_set_gs(&other);
	trace_g(TraceAsk, main_g, 0, 4711);
	arch_set_gs(&m0);
	for (int i = 0; i < 200000; i++)
		trace_g(TraceYield, main_g, 0, 0);
	ck_assert_uint_eq(find(TraceAsk, main_g, 0)->arg, 4711);
	ck_assert_uint_eq(load_rlx(&tracebuf.unwritten), 0);
}
END_TEST

START_TEST(a_kernel_thread_of_the_program_is_counted)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	struct m foreign = { .self = &foreign, .foreign = 1 };
	arch_set_gs(&foreign);
	trace_g(TraceYield, main_g, 0, 0);
	arch_set_gs(NULL);
	trace_g(TraceYield, main_g, 0, 0);
	arch_set_gs(&m0);
	ck_assert_uint_eq(load_rlx(&tracebuf.unwritten), 2);
}
END_TEST

START_TEST(a_second_session_starts_empty)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	ck_assert_int_eq(trace_start(0), -16);
	trace_g(TraceYield, main_g, 0, 1);
	trace_stop();
	ck_assert(!tracing());
	ck_assert_ptr_nonnull(find(TraceYield, main_g, 0));
	ck_assert_int_eq(trace_start(4 * TRACE_MIN_BYTES), 0);
	ck_assert_ptr_null(find(TraceYield, main_g, 0));
	trace_g(TraceYield, main_g, 0, 2);
	ck_assert_uint_eq(find(TraceYield, main_g, 0)->arg, 2);
	ck_assert_ptr_null(find(TraceYield, main_g, 1));
}
END_TEST

START_TEST(a_forks_child_is_not_traced)
{
	fake_start(1);
	ck_assert_int_eq(trace_start(0), 0);
	trace_after_fork(&m0);
	ck_assert(!tracing());
	ck_assert_ptr_null(load_rlx(&m0.trace));
	ck_assert_int_eq(trace_start(0), 0);
	trace_g(TraceYield, main_g, 0, 3);
	ck_assert_uint_eq(find(TraceYield, main_g, 0)->arg, 3);
}
END_TEST

UNIT_MAIN("tracebuf", nothing_is_written_when_off, states_at_the_start, a_wait_and_its_end, a_system_call,
	  an_end_carries_the_name, the_oldest_give_way_and_are_counted, a_held_chunk_is_kept,
	  a_kernel_thread_of_the_program_is_counted, a_second_session_starts_empty, a_forks_child_is_not_traced)
