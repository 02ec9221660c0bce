/* topdata.c - what `preloom top` shows, computed from two looks at a process.
 *
 * A look is a snapshot: a few system calls per thousand threads, and the process does not notice. Both are sorted by the
 * G's numbers, which are never used again, so one walk over both finds how each G's counters grew. Ticks are compared, not
 * times: what a tick lasts is only known more and more exactly.
 */
#include "topdata.h"
#include "reason.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const top_sort_names[NSort] = { "cpu", "time", "switches", "migrations", "wait", "id", "name", "state" };

const char *top_status_name(const struct g *g)
{
	static const char *const names[] = { "idle", "runnable", "running", "syscall", "waiting", "dead" };
	uint32_t s = load_rlx(&g->status);
	return s <= Gdead ? names[s] : "?";
}

const char *top_reason_name(enum waitreason r)
{
	static const char *const names[NWaitReason] = {
		[WaitNone] = "other", [WaitFutex] = "futex",   [WaitFutexPI] = "PI mutex", [WaitSleep] = "sleep",
		[WaitIORead] = "read", [WaitIOWrite] = "write", [WaitPoll] = "poll",	   [WaitEpoll] = "epoll",
		[WaitSignal] = "signal", [WaitM] = "kernel thread",
	};
	return r < NWaitReason ? names[r] : "?";
}

bool top_open(struct top *d, struct target *t)
{
	memset(d, 0, sizeof(*d));
	d->t = t;
	d->sym = symbols_open(t);
	return d->sym != NULL;
}

void top_close(struct top *d)
{
	if (d->has_before)
		snapshot_free(&d->before);
	snapshot_free(&d->now);
	free(d->row);
	free(d->p);
	free(d->m);
	if (d->sym)
		symbols_close(d->sym);
	if (d->stacks)
		stacks_close(d->stacks);
}

/* --- the kernel's view --- */

static void read_process(struct top *d)
{
	char name[64], line[1024];
	snprintf(name, sizeof(name), "/proc/%d/stat", (int)d->t->pid);
	FILE *f = fopen(name, "re");
	size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;
	if (f)
		fclose(f);
	line[n] = 0;
	char *open = strchr(line, '('), *close = strrchr(line, ')');
	unsigned long user = 0, sys = 0;
	if (!open || !close || close < open)
		return;
	snprintf(d->comm, sizeof(d->comm), "%.*s", (int)(close - open - 1), open + 1);
	if (sscanf(close + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &d->state, &user, &sys) == 3)
		d->cpu_clock = user + sys;
}

static uint64_t kernel_thread_cpu(pid_t pid, int tid)
{
	char name[96];
	unsigned long long ns = 0;
	snprintf(name, sizeof(name), "/proc/%d/task/%d/schedstat", (int)pid, tid);
	FILE *f = fopen(name, "re");
	if (f && fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

static void look_at_ms(struct top *d, bool wanted)
{
	struct top_m *old = d->m;
	size_t nold = d->nm;
	d->m = NULL;
	d->nm = 0;
	if (wanted)
		d->m = calloc(d->now.nm + 1, sizeof(*d->m));
	for (size_t i = 0; d->m && i < d->now.nm; i++) {
		struct top_m *m = &d->m[d->nm++];
		m->m = &d->now.m[i].m;
		m->cpu_ns = kernel_thread_cpu(d->t->pid, m->m->procid);
		m->cpu = -1;
		for (size_t j = 0; j < nold; j++) {
			if (old[j].m->procid != m->m->procid || !old[j].cpu_ns || d->seconds <= 0)
				continue;
			m->cpu = (double)(m->cpu_ns - old[j].cpu_ns) / d->seconds / 1e7;
			m->syscalls = (double)(m->m->nsyscall - old[j].m->nsyscall) / d->seconds;
		}
	}
	free(old);
}

/* --- P's --- */

static uint64_t idle_of(const struct snapshot *s, const struct p *p)
{
	uint64_t now = p->idle_ticks;
	if (p->idle_since && s->now_ticks > p->idle_since)
		now += s->now_ticks - p->idle_since;
	return now;
}

static double percentile(const uint64_t *count, uint64_t n, double part, double ns_per_tick)
{
	uint64_t seen = 0, wanted = (uint64_t)((double)n * part);
	for (uint32_t b = 0; b < LATENCY_BUCKETS; b++) {
		seen += count[b];
		if (seen > wanted) /* the middle of the bucket */
			return (double)(latency_floor(b) + latency_floor(b + 1)) / 2 * ns_per_tick;
	}
	return 0;
}

static struct top_latency latency_of(const uint64_t *count, double ns_per_tick)
{
	struct top_latency l = { 0 };
	for (int b = 0; b < LATENCY_BUCKETS; b++)
		l.n += count[b];
	if (l.n) {
		l.p50 = percentile(count, l.n, 0.5, ns_per_tick);
		l.p99 = percentile(count, l.n, 0.99, ns_per_tick);
	}
	return l;
}

static uint64_t running_on(const struct snapshot *s, const struct p *p)
{
	const struct snap_m *m = p->m ? snapshot_m_at(s, (uintptr_t)p->m) : NULL;
	for (size_t i = 0; m && m->m.curg && i < s->ng; i++)
		if (s->g[i].addr == (uintptr_t)m->m.curg)
			return s->g[i].g.goid;
	return 0;
}

static bool look_at_ps(struct top *d)
{
	static const struct p none;
	uint64_t all[LATENCY_BUCKETS] = { 0 };
	double ticks = (double)(d->now.now_ticks - (d->has_before ? d->before.now_ticks : d->now.sched.start_ticks));
	free(d->p);
	d->p = calloc((size_t)d->now.np, sizeof(*d->p));
	d->np = d->p ? d->now.np : 0;
	d->switches = d->steals = d->preempts = d->retakes = d->handoffs = 0;
	for (int i = 0; i < d->np; i++) {
		const struct p *p = &d->now.p[i], *o = d->has_before && i < d->before.np ? &d->before.p[i] : &none;
		struct top_p *x = &d->p[i];
		uint64_t count[LATENCY_BUCKETS];
		double idle = (double)(idle_of(&d->now, p) - (o == &none ? 0 : idle_of(&d->before, o)));
		x->p = p;
		x->busy = ticks > 0 ? 100 - 100 * idle / ticks : 0;
		x->busy = x->busy < 0 ? 0 : x->busy > 100 ? 100 : x->busy;
		x->switches = (double)(p->nswitch - o->nswitch) / d->seconds;
		x->goid = load_rlx(&p->status) == Prunning ? running_on(&d->now, p) : 0;
		for (int b = 0; b < LATENCY_BUCKETS; b++) {
			count[b] = p->latency[b] - o->latency[b]; /* as uint32_t: a counter may have begun anew */
			all[b] += count[b];
		}
		x->latency = latency_of(count, d->now.ns_per_tick);
		d->switches += x->switches;
		d->steals += (double)(p->nsteal - o->nsteal) / d->seconds;
		d->preempts += (double)(p->npreempt - o->npreempt) / d->seconds;
		d->retakes += (double)(p->nretake - o->nretake) / d->seconds;
		d->handoffs += (double)(p->nhandoff - o->nhandoff) / d->seconds;
	}
	d->latency = latency_of(all, d->now.ns_per_tick);
	return d->p != NULL;
}

/* --- G's --- */

/* Its start routine, as well as it is known. */
static void name_entry(struct top *d, const struct g *g, char *out, size_t size)
{
	char text[256];
	const char *entry = symbols_entry(d->sym, g->entry, text, sizeof(text));
	snprintf(out, size, "%s", !*entry && g->goid == 1 ? "main" : entry);
}

/* In a few words, without looking at the stack. */
static void brief(struct top *d, struct top_row *r)
{
	const struct g *g = &r->g->g;
	switch ((enum gstatus)load_rlx(&g->status)) {
	case Gwaiting:
		if (g->waitreason == WaitIORead || g->waitreason == WaitIOWrite)
			snprintf(r->what, sizeof(r->what), "%s, fd %d", top_reason_name(g->waitreason), g->wait_fd);
		else if (g->waitreason == WaitFutex || g->waitreason == WaitFutexPI)
			snprintf(r->what, sizeof(r->what), "%s %#lx", top_reason_name(g->waitreason), (long)g->wait_addr);
		else
			snprintf(r->what, sizeof(r->what), "%s", top_reason_name(g->waitreason));
		break;
	case Gsyscall:
		snprintf(r->what, sizeof(r->what), "system call %d", g->syscall_nr);
		break;
	default:
		name_entry(d, g, r->what, sizeof(r->what));
		break;
	}
}

static const struct top_options *ordering;

static int compare_rows(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;
	double c = 0;
	switch (ordering->sort) {
	case SortCpu: c = y->cpu - x->cpu; break;
	case SortTime: c = (double)(y->cpu_ns - x->cpu_ns); break;
	case SortSwitches: c = y->switches - x->switches; break;
	case SortMigrations: c = y->migrations - x->migrations; break;
	case SortWait: c = (double)(y->since_ns - x->since_ns); break;
	case SortName: c = strncmp(x->g->g.name, y->g->g.name, GNAME_LEN); break;
	case SortState: c = strcmp(top_status_name(&x->g->g), top_status_name(&y->g->g)); break;
	default: break;
	}
	if (c == 0)
		c = x->g->g.goid < y->g->g.goid ? -1 : 1;
	return (c < 0 ? -1 : 1) * (ordering->reverse ? -1 : 1);
}

static bool contains(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

static bool passes(const struct top_row *r, const char *filter)
{
	char name[GNAME_LEN + 1], id[24];
	if (!*filter)
		return true;
	snprintf(name, sizeof(name), "%.*s", GNAME_LEN, r->g->g.name);
	snprintf(id, sizeof(id), "%lu", (unsigned long)r->g->g.goid);
	return contains(name, filter) || contains(r->what, filter) || contains(top_status_name(&r->g->g), filter) ||
	       !strcmp(id, filter);
}

bool top_arrange(struct top *d, const struct top_options *o)
{
	size_t before = 0, n = 0;
	struct top_row *row = realloc(d->row, (d->now.ng + 1) * sizeof(*row));
	if (!row)
		return false;
	d->row = row;
	d->migrations = 0;
	memset(d->by_status, 0, sizeof(d->by_status));
	memset(d->by_reason, 0, sizeof(d->by_reason));
	for (size_t i = 0; i < d->now.ng; i++) {
		const struct snap_g *g = &d->now.g[i], *old = NULL;
		struct top_row *r = &row[n];
		while (d->has_before && before < d->before.ng && d->before.g[before].g.goid < g->g.goid)
			before++;
		if (d->has_before && before < d->before.ng && d->before.g[before].g.goid == g->g.goid)
			old = &d->before.g[before];
		uint64_t ticks = snapshot_ticks(&d->now, &g->g), past = old ? snapshot_ticks(&d->before, &old->g) : 0;
		r->g = g;
		r->cpu_ns = (int64_t)((double)ticks * d->now.ns_per_tick);
		r->cpu = ticks > past ? (double)(ticks - past) * d->now.ns_per_tick / d->seconds / 1e7 : 0;
		r->cpu = r->cpu > 100 ? 100 : r->cpu;
		r->since_ns = snapshot_since(&d->now, &g->g);
		r->switches = (double)(g->g.switches - (old ? old->g.switches : 0)) / d->seconds;
		r->migrations = (double)(g->g.migrations - (old ? old->g.migrations : 0)) / d->seconds;
		d->migrations += r->migrations;
		uint32_t s = load_rlx(&g->g.status);
		d->by_status[s <= Gdead ? s : Gdead]++;
		if (s == Gwaiting && g->g.waitreason < NWaitReason)
			d->by_reason[g->g.waitreason]++;
		brief(d, r);
		n += passes(r, o->filter);
	}
	d->nrow = n;
	ordering = o;
	qsort(row, n, sizeof(*row), compare_rows);
	return true;
}

bool top_look(struct top *d, const struct top_options *o)
{
	uint64_t magic = 0;
	bool first = d->now.g == NULL;
	struct snapshot s;
	/* After an exec the addresses mean something else. */
	if (!target_read(d->t, d->t->where, &magic, sizeof(magic)) || magic != INSPECT_MAGIC || !snapshot_take(d->t, &s))
		return false;
	if (!first) {
		/* M's of the last look are needed once more: look_at_ms compares with them. */
		if (d->has_before)
			snapshot_free(&d->before);
		d->before = d->now;
		d->has_before = true;
	}
	d->now = s;
	d->seconds = (double)(s.now - (first ? s.sched.start_ns : d->before.now)) / NSEC_PER_SEC;
	if (d->seconds <= 0)
		d->seconds = 1e-9;
	d->before_cpu_clock = d->cpu_clock;
	read_process(d);
	d->cpu = 100.0 * (double)(d->cpu_clock - d->before_cpu_clock) / (double)sysconf(_SC_CLK_TCK) / d->seconds;
	look_at_ms(d, o->kernel_threads);
	return look_at_ps(d) && top_arrange(d, o);
}

/* The snapshot's copies of some G's are replaced by fresh ones, so that their stacks, read right after, belong to them. */
struct refreshed {
	struct snap_g **where;
	struct g *old;
	size_t n;
};

static void refresh(struct top *d, size_t from, size_t n, bool *wanted, struct refreshed *r)
{
	r->where = calloc(n + 1, sizeof(*r->where));
	r->old = calloc(n + 1, sizeof(*r->old));
	r->n = 0;
	for (size_t i = from; r->where && r->old && i < from + n && i < d->nrow; i++) {
		size_t at = (size_t)(d->row[i].g - d->now.g);
		struct snap_g *g = &d->now.g[at];
		struct g fresh;
		if (!target_read(d->t, g->addr, &fresh, sizeof(fresh)) || fresh.goid != g->g.goid)
			continue;
		uint32_t s = load_rlx(&fresh.status);
		if (s != load_rlx(&g->g.status) || (s != Gwaiting && s != Gsyscall))
			continue;
		r->where[r->n] = g;
		r->old[r->n++] = g->g;
		g->g = fresh;
		wanted[at] = true;
	}
}

/* One that ran while it was looked at is told apart by its switches. */
static bool has_moved(struct top *d, const struct snap_g *g)
{
	uint64_t switches;
	return !target_read(d->t, g->addr + offsetof(struct g, switches), &switches, sizeof(switches)) ||
	       switches != g->g.switches;
}

void top_explain(struct top *d, size_t from, size_t n)
{
	struct capture c;
	struct stack st;
	struct refreshed r = { 0 };
	struct stacks *k;
	bool *wanted = calloc(d->now.ng + 1, sizeof(*wanted)), ok = false;
	n = from + n < d->nrow ? n : from < d->nrow ? d->nrow - from : 0;
	if (wanted) {
		refresh(d, from, n, wanted, &r);
		ok = r.n && capture_some(d->t, &d->now, wanted, &c);
	}
	for (size_t i = 0; ok && i < r.n; i++)
		if (has_moved(d, r.where[i]))
			wanted[r.where[i] - d->now.g] = false;
	if (ok && !d->stacks)
		d->stacks = stacks_open();
	k = ok ? d->stacks : NULL;
	if (k)
		stacks_use(k, &c);
	for (size_t i = from; k && i < from + n; i++) {
		struct top_row *row = &d->row[i];
		struct reason why;
		if (!wanted[row->g - d->now.g])
			continue;
		stack_of(k, row->g, &st);
		reason_of(&c, d->sym, row->g, &st, &why);
		if (why.kind == ReasonPoll && has_moved(d, row->g)) /* its list of descriptors was read only now */
			why.detail[0] = 0;
		snprintf(row->what, sizeof(row->what), "%.60s%s%.90s", why.state, why.detail[0] ? "; " : "", why.detail);
	}
	if (ok)
		capture_release(&c);
	for (size_t i = 0; i < r.n; i++)
		r.where[i]->g = r.old[i];
	free(r.where);
	free(r.old);
	free(wanted);
}
