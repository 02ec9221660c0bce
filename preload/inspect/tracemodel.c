/* tracemodel.c - the states of G's and P's, from the events of a trace.
 *
 * A G is in one state at a time; an event moves it on. Where events are missing (before the trace began, or lost), a G's
 * first event tells what it must have been doing since then: who is readied was waiting, who parks was running. An
 * event that does not fit closes what is open and starts anew; nothing here assumes that a trace is whole.
 *
 * A P belongs to the G that runs on it, also while that is in a system call, until the call ends elsewhere or the P is
 * retaken.
 */
#include "tracemodel.h"
#include <stdlib.h>
#include <string.h>

#define NPS MAXPROCS

struct tracemodel {
	struct trace_sink sink;
	void *ctx;
	struct trace_g **g; /* in order of appearance */
	size_t n, room;
	uint32_t *slot; /* hash table: index + 1 */
	size_t nslots;
	struct trace_p_state p[NPS];
	struct trace_sums sums;
	uint64_t start; /* what is older is as old as this */
	uint64_t now;
};

static const char *const names[NLife] = { "new", "runnable", "running", "system call", "waiting", "dead" };

const char *life_name(enum life l)
{
	return l < NLife ? names[l] : "?";
}

struct tracemodel *tracemodel_new(const struct trace_sink *sink, void *ctx, uint64_t start_ticks)
{
	struct tracemodel *tm = calloc(1, sizeof(*tm));
	if (tm) {
		tm->sink = *sink;
		tm->ctx = ctx;
		tm->start = tm->now = tm->sums.first_ticks = start_ticks;
		tm->sums.max_p = -1;
	}
	return tm;
}

void tracemodel_free(struct tracemodel *tm)
{
	if (!tm)
		return;
	for (size_t i = 0; i < tm->n; i++)
		free(tm->g[i]);
	free(tm->g);
	free(tm->slot);
	free(tm);
}

/* --- the table of G's --- */

static size_t place(const struct tracemodel *tm, uint64_t goid)
{
	size_t i = (size_t)(goid * 0x9e3779b97f4a7c15ULL >> 20) & (tm->nslots - 1);
	while (tm->slot[i] && tm->g[tm->slot[i] - 1]->goid != goid)
		i = (i + 1) & (tm->nslots - 1);
	return i;
}

static bool rehash(struct tracemodel *tm)
{
	size_t n = tm->nslots ? 2 * tm->nslots : 1024;
	uint32_t *slot = calloc(n, sizeof(*slot));
	if (!slot)
		return false;
	free(tm->slot);
	tm->slot = slot;
	tm->nslots = n;
	for (size_t i = 0; i < tm->n; i++)
		tm->slot[place(tm, tm->g[i]->goid)] = (uint32_t)i + 1;
	return true;
}

struct trace_g *tracemodel_g(struct tracemodel *tm, uint64_t goid)
{
	if (goid == 0 || (2 * (tm->n + 1) > tm->nslots && !rehash(tm)))
		return NULL;
	size_t i = place(tm, goid);
	if (tm->slot[i])
		return tm->g[tm->slot[i] - 1];
	if (tm->n == tm->room) {
		size_t room = tm->room ? 2 * tm->room : 256;
		struct trace_g **p = realloc(tm->g, room * sizeof(*p));
		if (!p)
			return NULL;
		tm->g = p;
		tm->room = room;
	}
	struct trace_g *g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->goid = goid;
	g->p = -1;
	g->since = tm->start;
	tm->g[tm->n++] = g;
	tm->slot[i] = (uint32_t)tm->n;
	return g;
}

size_t tracemodel_count(const struct tracemodel *tm)
{
	return tm->n;
}

struct trace_g *tracemodel_at(const struct tracemodel *tm, size_t i)
{
	return tm->g[i];
}

const struct trace_sums *tracemodel_sums(const struct tracemodel *tm)
{
	return &tm->sums;
}

const struct trace_p_state *tracemodel_p(const struct tracemodel *tm, int p)
{
	return &tm->p[p];
}

/* --- P's --- */

static void p_leave(struct tracemodel *tm, int p, uint64_t at)
{
	if (p < 0 || p >= NPS || !tm->p[p].g)
		return;
	struct trace_p_state *ps = &tm->p[p];
	struct trace_g *g = tracemodel_g(tm, ps->g);
	if (g)
		g->holds = false;
	ps->busy += at - ps->since;
	if (tm->sink.p_end)
		tm->sink.p_end(tm->ctx, p, ps->g, ps->since, at);
	ps->g = 0;
	ps->since = at;
}

static void p_drop(struct tracemodel *tm, struct trace_g *g, uint64_t at)
{
	if (g->holds)
		p_leave(tm, g->p, at);
	g->holds = false;
}

static void p_take(struct tracemodel *tm, int p, struct trace_g *g, uint64_t at)
{
	if (g->holds && g->p == p)
		return;
	p_drop(tm, g, at);
	if (p < 0 || p >= NPS)
		return;
	p_leave(tm, p, at);
	tm->p[p].g = g->goid;
	tm->p[p].since = at;
	g->p = p;
	g->holds = true;
	if (p > tm->sums.max_p)
		tm->sums.max_p = p;
	if (tm->sink.p_begin)
		tm->sink.p_begin(tm->ctx, p, g, at);
}

/* --- G's --- */

static void leave(struct tracemodel *tm, struct trace_g *g, uint64_t at)
{
	if (g->life == LifeNew || g->life == LifeDead)
		return;
	uint64_t took = at - g->since;
	g->total[g->life] += took;
	if (g->life == LifeWaiting && g->why < NWaitReason)
		g->waited[g->why] += took;
	if (g->life == LifeRunnable && took > g->worst_delay) {
		g->worst_delay = took;
		g->worst_at = g->since;
	}
	if (tm->sink.end)
		tm->sink.end(tm->ctx, g, at);
}

static void enter(struct tracemodel *tm, struct trace_g *g, enum life life, uint64_t at)
{
	g->life = life;
	g->since = at;
	if (life != LifeDead && tm->sink.begin)
		tm->sink.begin(tm->ctx, g, at);
}

/* g is about to leave a state; if nothing was known, or something else, it was this one. */
static void was(struct tracemodel *tm, struct trace_g *g, enum life life, int p, uint64_t at)
{
	if (g->life == life)
		return;
	uint64_t from = g->life == LifeNew ? g->since : at;
	leave(tm, g, at);
	g->why = 0;
	g->what = 0;
	g->readied_by = 0;
	g->readied_how = 0;
	g->created = g->yielded = false;
	bool on_p = life == LifeRunning && p >= 0 && p < NPS;
	if (on_p) {
		/* The P was not somebody else's at that time, as far as is known. */
		uint64_t free = tm->p[p].g ? at : tm->p[p].since;
		from = free > from ? free : from;
		p_take(tm, p, g, from);
	}
	enter(tm, g, life, from);
}

static void go(struct tracemodel *tm, struct trace_g *g, enum life life, uint64_t at)
{
	leave(tm, g, at);
	enter(tm, g, life, at);
}

static void on_state(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	if (g->life != LifeNew)
		return;
	g->since = at;
	switch ((enum gstatus)e->sub) {
	case Grunning:
		was(tm, g, LifeRunning, e->p, at);
		break;
	case Grunnable:
		was(tm, g, LifeRunnable, -1, at);
		break;
	case Gsyscall:
		g->why = e->n;
		enter(tm, g, LifeSyscall, at);
		break;
	case Gwaiting:
		g->why = e->n;
		g->what = e->arg;
		enter(tm, g, LifeWaiting, at);
		break;
	default:
		break;
	}
}

static void on_ready(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	struct trace_g *by = tracemodel_g(tm, e->arg);
	if (g->life == LifeRunnable)
		return;
	if (by && by->life == LifeNew && e->p >= 0)
		was(tm, by, LifeRunning, e->p, at);
	was(tm, g, LifeWaiting, -1, at);
	p_drop(tm, g, at);
	g->readied_by = e->arg;
	g->readied_how = e->sub;
	g->created = g->yielded = false;
	leave(tm, g, at);
	if (tm->sink.ready)
		tm->sink.ready(tm->ctx, by, g, at);
	enter(tm, g, LifeRunnable, at);
}

static void on_yield(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	was(tm, g, LifeRunning, e->p, at);
	leave(tm, g, at);
	p_drop(tm, g, at);
	g->readied_by = 0;
	g->readied_how = WakeNone;
	g->created = false;
	g->yielded = true;
	enter(tm, g, LifeRunnable, at);
}

static void on_run(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	/* A wait that was over before the G had left its stack ends without a ready. */
	if (g->life == LifeNew)
		was(tm, g, LifeRunnable, -1, at);
	g->runs++;
	leave(tm, g, at);
	p_take(tm, e->p, g, at);
	enter(tm, g, LifeRunning, at);
}

static void on_leave(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	was(tm, g, LifeSyscall, -1, at);
	leave(tm, g, at);
	if (e->sub == LeaveQueued) {
		p_drop(tm, g, at);
		g->readied_by = 0;
		g->created = g->yielded = false;
		enter(tm, g, LifeRunnable, at);
		return;
	}
	p_take(tm, e->p, g, at);
	enter(tm, g, LifeRunning, at);
}

static void on_park(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	was(tm, g, LifeRunning, e->p, at);
	leave(tm, g, at);
	p_drop(tm, g, at);
	g->parks++;
	g->why = e->sub;
	g->what = e->arg;
	g->word = e->n;
	g->readied_by = 0;
	enter(tm, g, LifeWaiting, at);
}

static void on_enter(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	was(tm, g, LifeRunning, e->p, at);
	leave(tm, g, at);
	if (e->sub)
		p_drop(tm, g, at);
	g->syscalls++;
	g->why = e->n;
	enter(tm, g, LifeSyscall, at);
}

static void on_create(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	if (g->life != LifeNew)
		return;
	struct trace_g *by = tracemodel_g(tm, g->parent);
	if (by && by->life == LifeNew && e->p >= 0)
		was(tm, by, LifeRunning, e->p, at);
	if (by && tm->sink.ready)
		tm->sink.ready(tm->ctx, by, g, at);
	g->tid = e->n;
	g->entry = e->arg;
	g->since = at;
	g->created = true;
	g->readied_by = g->parent;
	enter(tm, g, LifeRunnable, at);
}

static void on_end_of(struct tracemodel *tm, struct trace_g *g, const struct feed_event *e, uint64_t at)
{
	was(tm, g, LifeRunning, e->p, at);
	g->tid = e->n;
	g->entry = e->arg;
	p_drop(tm, g, at);
	go(tm, g, LifeDead, at);
}

/* A name event carries half of the number; the G's own event follows or came before, so it is known. */
static void on_name(struct tracemodel *tm, const struct feed_event *e)
{
	struct trace_g *g = tracemodel_g(tm, e->n);
	if (!g)
		return;
	memcpy(g->name, &e->g, 8);
	memcpy(g->name + 8, &e->arg, 8);
}

static void on_procs(struct tracemodel *tm, const struct feed_event *e, uint64_t at)
{
	int old = tm->sums.gomaxprocs, n = e->n < NPS ? (int)e->n : NPS;
	tm->sums.gomaxprocs = n;
	for (int p = n; p < old; p++)
		p_leave(tm, p, at);
}

typedef void handler(struct tracemodel *, struct trace_g *, const struct feed_event *, uint64_t);

static handler *const handlers[NTraceType] = {
	[TraceState] = on_state, [TraceCreate] = on_create, [TraceExit] = on_end_of,  [TracePark] = on_park,
	[TraceReady] = on_ready, [TraceRun] = on_run,	    [TraceYield] = on_yield, [TraceEnter] = on_enter,
	[TraceLeave] = on_leave,
};

static void feed_one(struct tracemodel *tm, const struct feed_event *e)
{
	/* What was held back by its M may come late; no time goes backwards for that. */
	uint64_t at = e->ticks > tm->now ? e->ticks : tm->now;
	tm->now = at;
	if (e->type >= NTraceType)
		return;
	tm->sums.events++;
	tm->sums.by_type[e->type]++;
	if (handlers[e->type]) {
		struct trace_g *g = tracemodel_g(tm, e->g);
		if (g)
			handlers[e->type](tm, g, e, at);
		return;
	}
	if (e->type == TraceName) {
		on_name(tm, e);
		return;
	}
	struct trace_g *g = e->type == TracePreempt || e->type == TraceParent ? tracemodel_g(tm, e->g) : NULL;
	if (g && e->type == TracePreempt)
		g->preempts++;
	if (g && e->type == TraceParent)
		g->parent = e->arg;
	if (e->type == TraceProcs)
		on_procs(tm, e, at);
	if (e->type == TraceRetake)
		p_leave(tm, e->p, at);
	if (tm->sink.mark && e->type != TraceParent) {
		struct feed_event copy = *e;
		copy.ticks = at;
		tm->sink.mark(tm->ctx, &copy);
	}
}

void tracemodel_feed(struct tracemodel *tm, const struct feed_event *ev, size_t n)
{
	for (size_t i = 0; i < n; i++)
		feed_one(tm, &ev[i]);
}

static void close_all(struct tracemodel *tm, uint64_t at)
{
	for (int p = 0; p < NPS; p++)
		p_leave(tm, p, at);
	for (size_t i = 0; i < tm->n; i++) {
		struct trace_g *g = tm->g[i];
		leave(tm, g, at);
		if (g->life != LifeDead)
			g->life = LifeNew;
		g->since = at;
		g->holds = false;
	}
}

/* Nothing is known of what happened between the last event and this time: states end there, and what the next events
 * show begins here. */
void tracemodel_gap(struct tracemodel *tm, uint64_t ticks)
{
	close_all(tm, tm->now);
	tm->now = ticks > tm->now ? ticks : tm->now;
	tm->start = tm->now;
	for (size_t i = 0; i < tm->n; i++)
		tm->g[i]->since = tm->now;
	for (int p = 0; p < NPS; p++)
		tm->p[p].since = tm->now;
	if (tm->sink.gap)
		tm->sink.gap(tm->ctx, tm->now);
}

void tracemodel_finish(struct tracemodel *tm, uint64_t ticks)
{
	tm->now = ticks > tm->now ? ticks : tm->now;
	close_all(tm, tm->now);
	tm->sums.last_ticks = tm->now;
}
