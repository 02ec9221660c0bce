/* recordsum.c - the summary of a recording: threads by entry function, what they waited for, the hottest locks.
 */
#include "record.h"
#include <stdlib.h>
#include <string.h>

#define SHOWN 12
#define MAX_OBJECT 4096 /* farther behind a symbol lies something else */
#define SHOWN_FUNCTIONS 5
#define NAME_WIDTH 34

const char *wait_name(uint32_t why)
{
	static const char *const names[NWaitReason] = {
		[WaitNone] = "waiting",	    [WaitFutex] = "locks and conditions", [WaitFutexPI] = "PI mutexes",
		[WaitSleep] = "sleep",	    [WaitIORead] = "reading",		  [WaitIOWrite] = "writing",
		[WaitPoll] = "poll",	    [WaitEpoll] = "epoll",		  [WaitSignal] = "signals",
		[WaitM] = "kernel threads",
	};
	return why < NWaitReason && names[why] ? names[why] : "waiting";
}

/* --- by entry function --- */

/* The function that the program gave to pthread_create; where that is the C++ library's, what it calls. */
const char *entry_name(struct recording *r, const struct trace_g *g)
{
	const char *fn = watch_function(&r->w, g->entry);
	if (g->goid == 1)
		return "main";
	if (g->begins && (!*fn || !strncmp(fn, "std::", 5) || !strncmp(fn, "libstdc++", 9) || !strncmp(fn, "libc++", 6) || strstr(fn, "execute_native_thread")))
		return g->begins;
	if (*fn)
		return fn;
	return g->name[0] ? g->name : "(unknown)";
}

static struct entry_sum *entry_of(struct entry_sum *e, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (e[i].name == name || !strcmp(e[i].name, name))
			return &e[i];
	e[*n].name = name;
	return &e[(*n)++];
}

static int by_cpu(const void *a, const void *b)
{
	const struct entry_sum *x = a, *y = b;
	if (x->total[LifeRunning] != y->total[LifeRunning])
		return x->total[LifeRunning] < y->total[LifeRunning] ? 1 : -1;
	return x->count < y->count ? 1 : x->count > y->count ? -1 : strcmp(x->name, y->name);
}

static void add(struct entry_sum *e, const struct trace_g *g)
{
	e->count++;
	e->alive += g->life != LifeDead;
	for (int i = 0; i < NLife; i++)
		e->total[i] += g->total[i];
	for (int i = 0; i < NWaitReason; i++)
		e->waited[i] += g->waited[i];
	e->runs += g->runs;
	if (g->worst_delay > e->worst_delay) {
		e->worst_delay = g->worst_delay;
		e->worst_at = g->worst_at;
		e->worst_goid = g->goid;
	}
}

struct entry_sum *entries_of(struct recording *r, size_t *n)
{
	size_t count = tracemodel_count(r->w.tm);
	struct entry_sum *e = calloc(count ? count : 1, sizeof(*e));
	*n = 0;
	if (!e)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const struct trace_g *g = tracemodel_at(r->w.tm, i);
		add(entry_of(e, n, entry_name(r, g)), g);
	}
	qsort(e, *n, sizeof(*e), by_cpu);
	return e;
}

const char *waited_mostly(const struct entry_sum *e, char *buf, size_t size)
{
	uint64_t all = 0;
	size_t n = 0;
	bool said[NWaitReason] = { false };
	for (int i = 0; i < NWaitReason; i++)
		all += e->waited[i];
	buf[0] = 0;
	for (int k = 0; k < 2 && all; k++) {
		int best = -1;
		for (int i = 0; i < NWaitReason; i++)
			if (!said[i] && e->waited[i] && (best < 0 || e->waited[i] > e->waited[best]))
				best = i;
		if (best < 0 || (k && e->waited[best] * 100 / all < 5))
			break;
		said[best] = true;
		int len = snprintf(buf + n, size - n, "%s%s %lu%%", n ? ", " : "", wait_name((uint32_t)best),
				   (unsigned long)(e->waited[best] * 100 / all));
		n += len > 0 && (size_t)len < size - n ? (size_t)len : 0;
	}
	return buf;
}

/* --- names --- */

const char *place_of(struct recording *r, uint64_t address, char *buf, size_t size)
{
	const struct mapping *m = target_mapping(r->w.t, address);
	const char *slash = m ? strrchr(m->path, '/') : NULL;
	const struct symbol *s;
	size_t n = symbols_at(r->w.symbols, address, false, &s);
	if (n && s[n - 1].function && s[n - 1].offset < MAX_OBJECT) {
		if (s[n - 1].offset)
			snprintf(buf, size, "%s+0x%lx", s[n - 1].function, (unsigned long)s[n - 1].offset);
		else
			snprintf(buf, size, "%s", s[n - 1].function);
		return buf;
	}
	if (m && m->path[0])
		snprintf(buf, size, "%s+0x%lx", slash ? slash + 1 : m->path, (unsigned long)(address - m->lo + m->offset));
	else
		snprintf(buf, size, "0x%lx", (unsigned long)address);
	return buf;
}

const char *thread_name_of(struct recording *r, uint64_t goid, char *buf, size_t size)
{
	struct trace_g *g = tracemodel_g(r->w.tm, goid);
	snprintf(buf, size, "G%lu %s", (unsigned long)goid, g ? entry_name(r, g) : "");
	return buf;
}

static const char *duration(double s, char *buf, size_t size)
{
	if (s < 1e-6)
		snprintf(buf, size, "%.0f ns", s * 1e9);
	else if (s < 1e-3)
		snprintf(buf, size, "%.1f us", s * 1e6);
	else if (s < 1)
		snprintf(buf, size, "%.1f ms", s * 1e3);
	else
		snprintf(buf, size, "%.2f s", s);
	return buf;
}

/* --- the text --- */

static void print_entries(struct recording *r, FILE *f)
{
	char mostly[96], delay[32], at[32];
	size_t n;
	struct entry_sum *e = entries_of(r, &n);
	fprintf(f, "\n%-*s %7s %9s %9s %9s %11s  %s\n", NAME_WIDTH, "threads by entry function", "count", "CPU s", "calls s",
		"ready s", "worst delay", "waited for");
	for (size_t i = 0; e && i < n && i < SHOWN; i++)
		fprintf(f, "%-*.*s %7lu %9.3f %9.3f %9.3f %11s  %s\n", NAME_WIDTH, NAME_WIDTH, e[i].name,
			(unsigned long)e[i].count, seconds_of(r, e[i].total[LifeRunning]), seconds_of(r, e[i].total[LifeSyscall]),
			seconds_of(r, e[i].total[LifeRunnable]), duration(seconds_of(r, e[i].worst_delay), delay, sizeof(delay)),
			waited_mostly(&e[i], mostly, sizeof(mostly)));
	if (n > SHOWN)
		fprintf(f, "and %zu more\n", n - SHOWN);
	const struct entry_sum *worst = NULL;
	for (size_t i = 0; e && i < n; i++)
		if (!worst || e[i].worst_delay > worst->worst_delay)
			worst = &e[i];
	if (worst && worst->worst_delay)
		fprintf(f, "\nworst scheduling delay: G%lu %s was runnable for %s before it ran, %s after the start\n",
			(unsigned long)worst->worst_goid, worst->name,
			duration(seconds_of(r, worst->worst_delay), delay, sizeof(delay)),
			duration(seconds_of(r, worst->worst_at - r->w.start_ticks), at, sizeof(at)));
	free(e);
}

static void print_locks(struct recording *r, FILE *f)
{
	char where[96], total[32], longest[32], holder[96];
	if (r->nmutexes == 0) {
		fprintf(f, "\nno thread waited for a mutex\n");
		return;
	}
	fprintf(f, "\n%-*s %9s %11s %11s  %s\n", NAME_WIDTH, "hottest locks", "waits", "waited", "longest", "held mostly by");
	for (size_t i = 0; i < r->nmutexes && i < SHOWN; i++) {
		const struct lock_sum *l = &r->locks.slot[i];
		fprintf(f, "%-*.*s %9lu %11s %11s  %s\n", NAME_WIDTH, NAME_WIDTH, place_of(r, l->address, where, sizeof(where)),
			(unsigned long)l->waits, duration(seconds_of(r, l->ticks), total, sizeof(total)),
			duration(seconds_of(r, l->longest), longest, sizeof(longest)),
			l->holder ? thread_name_of(r, l->holder, holder, sizeof(holder)) : "");
	}
	if (r->nmutexes > SHOWN)
		fprintf(f, "and %zu more\n", r->nmutexes - SHOWN);
}

static void print_functions(struct recording *r, FILE *f, int which, const char *title)
{
	char value[32];
	size_t n = 0;
	struct flame *fl = &r->flame[which];
	struct prof_function *fn = fl->have ? proftree_functions(&fl->tree, &n) : NULL;
	if (fn && n && fl->tree.root.total > 0 && fn[0].flat > 0)
		fprintf(f, "\n%s\n", title);
	for (size_t i = 0; fn && i < n && i < SHOWN_FUNCTIONS && fn[i].flat > 0; i++)
		fprintf(f, "%11s %5.1f%%  %s\n", duration((double)fn[i].flat / 1e9, value, sizeof(value)),
			100.0 * (double)fn[i].flat / (double)fl->tree.root.total, fn[i].name);
	free(fn);
}

static void print_ps(struct recording *r, FILE *f)
{
	const struct trace_sums *s = tracemodel_sums(r->w.tm);
	double busy = 0;
	for (int p = 0; p <= s->max_p; p++)
		busy += seconds_of(r, tracemodel_p(r->w.tm, p)->busy);
	int n = s->gomaxprocs ? s->gomaxprocs : s->max_p + 1;
	fprintf(f, "P's busy %.0f%%, %lu switches, %lu system calls, %lu preemptions, %lu steals\n",
		r->seconds > 0 && n ? 100 * busy / r->seconds / n : 0, (unsigned long)s->by_type[TraceRun],
		(unsigned long)s->by_type[TraceEnter], (unsigned long)s->by_type[TracePreempt],
		(unsigned long)s->by_type[TraceSteal]);
}

void record_summary(struct recording *r, FILE *f)
{
	const struct trace_sums *s = tracemodel_sums(r->w.tm);
	fprintf(f, "%s (process %d): %.3f s, GOMAXPROCS=%d, %zu threads, %s\n", r->title, (int)r->pid, r->seconds,
		s->gomaxprocs, tracemodel_count(r->w.tm), r->how);
	print_ps(r, f);
	if (r->w.lost)
		fprintf(f, "%lu of %lu events are lost: the program was faster than the recorder; sums are too small\n",
			(unsigned long)r->w.lost, (unsigned long)(s->events + r->w.lost));
	print_entries(r, f);
	print_locks(r, f);
	print_functions(r, f, FlameMutex, "who made others wait for locks");
	print_functions(r, f, FlameBlock, "where threads waited");
	print_functions(r, f, FlameCpu, "where CPU time went");
}
