/* tracejson.c - a trace in the JSON Trace Event Format.
 *
 * Three "processes" of the format: the P's, the G's and the M's of the program, a row for each. A row of a G is a sequence of
 * what it did (running, runnable, waiting for what, which system call), one of a P of which G had it. All is written
 * in the order of time as it is heard, so that a trace of any length takes no memory here; names come last. A flow leads
 * from who readied a G to the beginning of its time as runnable: both ends are written at once, so that none is alone. Its end
 * has the time and the place in the file just before that interval, and binds to the next one; "bp":"e", the one that
 * encloses it, would be the wait that ends at the same time, for chrome://tracing at least.
 */
#include "tracejson.h"
#include "../arch/x86_64/sysname.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PidP = 1, PidG = 2, PidM = 3 };

#define MAX_M 65536
#define P_NAME 48
#define FLOW_ROOM 1024 /* a flow, and the interval that it leads to */
#define COUNTER_NS 100000 /* how often the numbers of G's by state are written */

struct tracejson {
	FILE *f;
	uint64_t start;
	double ns_per_tick;
	uint64_t limit, written, dropped, flows;
	bool first;
	bool p_open[MAXPROCS];
	char p_name[MAXPROCS][P_NAME]; /* of the open interval */
	uint8_t m_seen[MAX_M]; /* 1: has a row; 2: an interval is open */
	long count[NLife];
	double counted_us;
};

struct tracejson *tracejson_new(FILE *f, uint64_t start_ticks, double ns_per_tick, uint64_t limit)
{
	struct tracejson *j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	j->f = f;
	j->start = start_ticks;
	j->ns_per_tick = ns_per_tick;
	j->limit = limit;
	j->first = true;
	j->counted_us = -1e9;
	int n = fprintf(f, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
	j->written = n > 0 ? (uint64_t)n : 0;
	return j;
}

void tracejson_free(struct tracejson *j)
{
	free(j);
}

static double us(const struct tracejson *j, uint64_t ticks)
{
	return ticks > j->start ? (double)(ticks - j->start) * j->ns_per_tick / 1000 : 0;
}

/* One event: the fields that all have, and more of the object's members. */
__attribute__((format(printf, 6, 7))) static void event(struct tracejson *j, char ph, int pid, uint64_t tid, uint64_t ticks,
							  const char *more, ...)
{
	va_list args;
	int n = fprintf(j->f, "%s{\"ph\":\"%c\",\"pid\":%d,\"tid\":%lu,\"ts\":%.3f", j->first ? "" : ",\n", ph, pid,
			(unsigned long)tid, us(j, ticks));
	va_start(args, more);
	int k = vfprintf(j->f, more, args);
	va_end(args);
	fputc('}', j->f);
	j->first = false;
	j->written += (uint64_t)(n > 0 ? n : 0) + (uint64_t)(k > 0 ? k : 0) + 1;
}

/* Is there no room for this many bytes? */
static bool full_for(struct tracejson *j, uint64_t more)
{
	if (j->written + more < j->limit)
		return false;
	j->dropped++;
	return true;
}

static bool full(struct tracejson *j)
{
	return full_for(j, 0);
}

/* Bytes that JSON does not take as they are, or that are no UTF-8 for sure, become a dot. */
static const char *plain(const char *text, char *buf, size_t size)
{
	size_t n = 0;
	for (; *text && n + 1 < size; text++)
		buf[n++] = *text == '"' || *text == '\\' || !isprint((unsigned char)*text) ? '.' : *text;
	buf[n] = 0;
	return buf;
}

/* --- G's --- */

static const char *reason(uint32_t why)
{
	static const char *const names[NWaitReason] = {
		[WaitNone] = "waiting",		   [WaitFutex] = "futex",	[WaitFutexPI] = "PI mutex",
		[WaitSleep] = "sleep",		   [WaitIORead] = "read",	[WaitIOWrite] = "write",
		[WaitPoll] = "poll",		   [WaitEpoll] = "epoll",	[WaitSignal] = "signal",
		[WaitM] = "kernel thread",
	};
	return why < NWaitReason && names[why] ? names[why] : "waiting";
}

/* What an interval of it is called: at its begin, and at its end too, as some readers match them by it. */
static const char *interval(const struct trace_g *g, char *buf, size_t size)
{
	switch (g->life) {
	case LifeRunning:
		return "running";
	case LifeRunnable:
		return "runnable";
	case LifeSyscall:
		return sysname((int)g->why);
	default:
		snprintf(buf, size, "wait: %s", reason(g->why));
		return buf;
	}
}

static void begin_waiting(struct tracejson *j, const struct trace_g *g, uint64_t ticks)
{
	static const char wait[] = ",\"name\":\"wait: %s\",\"cat\":\"wait\",\"cname\":\"thread_state_sleeping\"";
	char more[160];
	int n = snprintf(more, sizeof(more), wait, reason(g->why));
	if (g->why == WaitFutex || g->why == WaitFutexPI)
		snprintf(more + n, sizeof(more) - (size_t)n, ",\"args\":{\"address\":\"0x%lx\"}", (unsigned long)g->what);
	else if (g->why == WaitIORead || g->why == WaitIOWrite)
		snprintf(more + n, sizeof(more) - (size_t)n, ",\"args\":{\"fd\":%ld}", (long)g->what);
	event(j, 'B', PidG, g->goid, ticks, "%s", more);
}

static const char *how_readied(const struct trace_g *g)
{
	if (g->created)
		return "created";
	if (g->yielded)
		return "gave way";
	switch (g->readied_how) {
	case WakeTimeout:
		return "timeout";
	case WakeSignal:
		return "signal";
	case WakeNone:
		return "back from a system call";
	default:
		return g->readied_by ? "readied" : "descriptor ready";
	}
}

static void counters(struct tracejson *j, uint64_t ticks)
{
	double now = us(j, ticks);
	if (now - j->counted_us < COUNTER_NS / 1000.0 || full(j))
		return;
	j->counted_us = now;
	event(j, 'C', PidP, 0, ticks,
	      ",\"name\":\"goroutines\",\"args\":{\"running\":%ld,\"runnable\":%ld,\"in system calls\":%ld}",
	      j->count[LifeRunning], j->count[LifeRunnable], j->count[LifeSyscall]);
}

/* g->user: NULL: nothing of it is in the file, so its row needs no name either; &in_file: something; j: also the beginning of
 * the present interval. */
static char in_file;

static void on_begin(void *ctx, struct trace_g *g, uint64_t ticks)
{
	struct tracejson *j = ctx;
	j->count[g->life]++;
	if (full(j))
		return;
	g->user = j;
	switch (g->life) {
	case LifeRunning:
		event(j, 'B', PidG, g->goid, ticks,
		      ",\"name\":\"running\",\"cat\":\"run\",\"cname\":\"thread_state_running\",\"args\":{\"P\":%d}", g->p);
		break;
	case LifeRunnable:
		event(j, 'B', PidG, g->goid, ticks,
		      ",\"name\":\"runnable\",\"cat\":\"runnable\",\"cname\":\"thread_state_runnable\","
		      "\"args\":{\"why\":\"%s\",\"by G\":%lu}",
		      how_readied(g), (unsigned long)g->readied_by);
		break;
	case LifeSyscall:
		event(j, 'B', PidG, g->goid, ticks,
		      ",\"name\":\"%s\",\"cat\":\"syscall\",\"cname\":\"thread_state_iowait\",\"args\":{\"number\":%u}",
		      sysname((int)g->why), g->why);
		break;
	default:
		begin_waiting(j, g, ticks);
		break;
	}
	counters(j, ticks);
}

static void on_end(void *ctx, struct trace_g *g, uint64_t ticks)
{
	struct tracejson *j = ctx;
	j->count[g->life]--;
	if (g->user == j) {
		char name[64];
		event(j, 'E', PidG, g->goid, ticks, ",\"name\":\"%s\"", interval(g, name, sizeof(name)));
		g->user = &in_file;
	}
}

static void on_ready(void *ctx, struct trace_g *by, struct trace_g *g, uint64_t ticks)
{
	struct tracejson *j = ctx;
	if (!by || full_for(j, FLOW_ROOM))
		return;
	unsigned long id = ++j->flows;
	event(j, 's', PidG, by->goid, ticks, ",\"name\":\"ready\",\"cat\":\"flow\",\"id\":%lu", id);
	event(j, 'f', PidG, g->goid, ticks, ",\"name\":\"ready\",\"cat\":\"flow\",\"id\":%lu", id);
}

/* --- P's and M's --- */

static void on_p_begin(void *ctx, int p, struct trace_g *g, uint64_t ticks)
{
	struct tracejson *j = ctx;
	char name[GNAME_LEN + 1], *what = j->p_name[p];
	j->p_open[p] = !full(j);
	if (!j->p_open[p])
		return;
	snprintf(what, P_NAME, "G%lu%s%s", (unsigned long)g->goid, g->name[0] ? " " : "", plain(g->name, name, sizeof(name)));
	event(j, 'B', PidP, (uint64_t)p, ticks, ",\"name\":\"%s\",\"cat\":\"run\",\"args\":{\"G\":%lu}", what,
	      (unsigned long)g->goid);
}

static void on_p_end(void *ctx, int p, uint64_t goid, uint64_t since, uint64_t ticks)
{
	struct tracejson *j = ctx;
	(void)goid;
	(void)since;
	if (j->p_open[p])
		event(j, 'E', PidP, (uint64_t)p, ticks, ",\"name\":\"%s\"", j->p_name[p]);
	j->p_open[p] = false;
}

static void instant(struct tracejson *j, const struct feed_event *e, const char *name, const char *arg, uint64_t value)
{
	int pid = e->p >= 0 ? PidP : PidM;
	uint64_t tid = e->p >= 0 ? (uint64_t)e->p : (uint64_t)(e->m > 0 ? e->m : 0);
	if (pid == PidM && tid < MAX_M)
		j->m_seen[tid] |= 1;
	char more[64] = "";
	if (arg)
		snprintf(more, sizeof(more), ",\"%s\":%lu", arg, (unsigned long)value);
	event(j, 'i', pid, tid, e->ticks, ",\"name\":\"%s\",\"cat\":\"sched\",\"s\":\"t\",\"args\":{\"M\":%d%s}", name, e->m, more);
}

static void m_interval(struct tracejson *j, const struct feed_event *e, bool awake)
{
	if (e->m < 0 || e->m >= MAX_M)
		return;
	uint8_t *seen = &j->m_seen[e->m];
	if (awake && !(*seen & 2) && !full(j)) {
		event(j, 'B', PidM, (uint64_t)e->m, e->ticks, ",\"name\":\"awake\",\"cat\":\"M\",\"args\":{\"P\":%d}", e->p);
		*seen = 3;
	} else if (!awake && *seen & 2) {
		event(j, 'E', PidM, (uint64_t)e->m, e->ticks, ",\"name\":\"awake\"");
		*seen = 1;
	}
}

static void on_mark(void *ctx, const struct feed_event *e)
{
	struct tracejson *j = ctx;
	if (e->type == TraceAwake || e->type == TraceAsleep) {
		m_interval(j, e, e->type == TraceAwake);
		return;
	}
	if (full(j))
		return;
	switch ((enum trace_type)e->type) {
	case TracePreempt:
		instant(j, e, "preempted", "G", e->g);
		break;
	case TraceHandoff:
		instant(j, e, "P handed off", "by G", e->g);
		break;
	case TraceRetake:
		instant(j, e, "P retaken by sysmon", NULL, 0);
		break;
	case TraceAsk:
		instant(j, e, "asked to give way", NULL, 0);
		break;
	case TraceSteal:
		instant(j, e, "steal", "from P", e->arg);
		break;
	case TraceNetpoll:
		instant(j, e, "netpoll", "readied", e->n);
		break;
	case TraceProcs:
		event(j, 'C', PidP, 0, e->ticks, ",\"name\":\"gomaxprocs\",\"args\":{\"P\":%u}", e->n);
		break;
	default:
		break;
	}
}

static void on_gap(void *ctx, uint64_t ticks)
{
	event(ctx, 'i', PidP, 0, ticks, ",\"name\":\"events lost before this\",\"cat\":\"sched\",\"s\":\"g\"");
}

const struct trace_sink tracejson_sink = {
	.begin = on_begin, .end = on_end, .p_begin = on_p_begin, .p_end = on_p_end,
	.ready = on_ready, .mark = on_mark, .gap = on_gap,
};

/* --- the end --- */

static void name_process(struct tracejson *j, int pid, const char *name)
{
	event(j, 'M', pid, 0, 0, ",\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}", name);
	event(j, 'M', pid, 0, 0, ",\"name\":\"process_sort_index\",\"args\":{\"sort_index\":%d}", pid);
}

static void name_row(struct tracejson *j, int pid, uint64_t tid, const char *name)
{
	event(j, 'M', pid, tid, 0, ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}", name);
	event(j, 'M', pid, tid, 0, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%lu}", (unsigned long)tid);
}

static void name_gs(struct tracejson *j, struct tracemodel *tm, const struct trace_extra *x)
{
	char name[256], part[64], fn[128];
	for (size_t i = 0; i < tracemodel_count(tm); i++) {
		const struct trace_g *g = tracemodel_at(tm, i);
		if (!g->user)
			continue;
		const char *entry = plain(x->function(x->ctx, g->entry), fn, sizeof(fn));
		snprintf(name, sizeof(name), "G%lu%s%s%s%s", (unsigned long)g->goid, g->name[0] ? " " : "",
			 plain(g->name, part, sizeof(part)), *entry ? " " : "", entry);
		name_row(j, PidG, g->goid, name);
	}
}

bool tracejson_finish(struct tracejson *j, struct tracemodel *tm, const struct trace_extra *x)
{
	char name[64], program[256];
	const struct trace_sums *sums = tracemodel_sums(tm);
	for (int m = 0; m < MAX_M; m++)
		if (j->m_seen[m] & 2)
			event(j, 'E', PidM, (uint64_t)m, sums->last_ticks, ",\"name\":\"awake\"");
	name_process(j, PidP, "P's");
	name_process(j, PidG, "goroutines (threads of the program)");
	name_process(j, PidM, "M's (kernel threads)");
	for (int p = 0; p <= sums->max_p; p++) {
		snprintf(name, sizeof(name), "P%d", p);
		name_row(j, PidP, (uint64_t)p, name);
	}
	for (int m = 0; m < MAX_M; m++)
		if (j->m_seen[m]) {
			snprintf(name, sizeof(name), "M%d", m);
			name_row(j, PidM, (uint64_t)m, name);
		}
	name_gs(j, tm, x);
	fprintf(j->f,
		"\n],\"otherData\":{\"program\":\"%s\",\"pid\":%d,\"preloom\":\"%s\",\"events\":%lu,\"lost events\":%lu,"
		"\"dropped for size\":%lu}}\n",
		plain(x->program ? x->program : "", program, sizeof(program)), x->pid, PRELOOM_VERSION,
		(unsigned long)sums->events, (unsigned long)x->lost, (unsigned long)j->dropped);
	return fflush(j->f) == 0 && !ferror(j->f);
}

uint64_t tracejson_dropped(const struct tracejson *j)
{
	return j->dropped;
}
