/* tracemodel.h - from events to what each G and each P was doing: intervals, who woke whom, and sums per thread.
 */
#ifndef PRELOOM_TRACEMODEL_H
#define PRELOOM_TRACEMODEL_H

#include "../../runtime/runtime.h"
#include "tracefeed.h"

/* What a G does. LifeNew: nothing is known of it yet. */
enum life { LifeNew, LifeRunnable, LifeRunning, LifeSyscall, LifeWaiting, LifeDead, NLife };

struct trace_g {
	uint64_t goid, parent, entry;
	uint32_t tid;
	char name[GNAME_LEN + 1];
	enum life life;
	uint64_t since; /* ticks */
	int p;		/* that it holds, or held last; -1: none */
	bool holds;
	uint32_t why;	/* LifeWaiting: enum waitreason; LifeSyscall: its number */
	uint64_t what;	/* LifeWaiting: address or descriptor */
	uint32_t word;	/* waiting on a futex: its value, if known */
	uint64_t readied_by;	  /* LifeRunnable, and as LifeWaiting ends: the G, 0: none */
	uint32_t readied_how;	  /* enum wake */
	bool created, yielded;	 /* LifeRunnable for that reason */
	/* sums, in ticks */
	uint64_t total[NLife];
	uint64_t waited[NWaitReason];
	uint64_t worst_delay, worst_at; /* runnable, until it ran */
	uint64_t runs, parks, preempts, syscalls;
	const char *begins; /* where the program's own code begins in it, NULL: not known */
	void *user;	    /* the sink's */
};

struct trace_p_state {
	uint64_t g; /* goid; 0: none */
	uint64_t since, busy;
};

struct trace_sums {
	uint64_t events, ready_latencies, first_ticks, last_ticks;
	uint64_t by_type[NTraceType];
	int gomaxprocs, max_p;
};

struct tracemodel;

/* What a consumer hears, in the order of time. Any may be NULL. */
struct trace_sink {
	void (*begin)(void *ctx, struct trace_g *g, uint64_t ticks); /* g->life began */
	void (*end)(void *ctx, struct trace_g *g, uint64_t ticks);   /* g->life, which began at g->since, ends */
	void (*p_begin)(void *ctx, int p, struct trace_g *g, uint64_t ticks);
	void (*p_end)(void *ctx, int p, uint64_t goid, uint64_t since, uint64_t ticks);
	void (*ready)(void *ctx, struct trace_g *by, struct trace_g *g, uint64_t ticks); /* by: NULL if it was no G */
	void (*mark)(void *ctx, const struct feed_event *e);				 /* what happens to a P or M */
	void (*gap)(void *ctx, uint64_t ticks);						 /* events before this are missing */
};

struct tracemodel *tracemodel_new(const struct trace_sink *sink, void *ctx, uint64_t start_ticks);
void tracemodel_free(struct tracemodel *tm);
void tracemodel_feed(struct tracemodel *tm, const struct feed_event *ev, size_t n);
void tracemodel_gap(struct tracemodel *tm, uint64_t ticks);
void tracemodel_finish(struct tracemodel *tm, uint64_t ticks); /* ends all that goes on */

struct trace_g *tracemodel_g(struct tracemodel *tm, uint64_t goid); /* makes it if need be; NULL: out of memory */
size_t tracemodel_count(const struct tracemodel *tm);
struct trace_g *tracemodel_at(const struct tracemodel *tm, size_t i); /* in the order in which they were first heard of */
const struct trace_sums *tracemodel_sums(const struct tracemodel *tm);
const struct trace_p_state *tracemodel_p(const struct tracemodel *tm, int p);

const char *life_name(enum life l);

#endif
