/* topview.c - the text of `preload top`: lines, for the screen and for --batch alike.
 */
#include "topview.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void top_view_add(struct top_text *t, enum top_style style, const char *fmt, ...)
{
	va_list args;
	if (t->n == t->room) {
		size_t more = t->room ? 2 * t->room : 64;
		struct top_line *p = realloc(t->line, more * sizeof(*p));
		if (!p)
			return;
		t->line = p;
		t->room = more;
	}
	struct top_line *l = &t->line[t->n++];
	l->style = style;
	va_start(args, fmt);
	vsnprintf(l->text, sizeof(l->text), fmt, args);
	va_end(args);
	for (size_t n = strlen(l->text); n && l->text[n - 1] == ' ';)
		l->text[--n] = 0;
}

void top_view_clear(struct top_text *t)
{
	t->n = 0;
}

/* --- numbers, short --- */

struct word {
	char s[24];
};

static struct word amount(double v)
{
	struct word w;
	if (v < 9.95)
		snprintf(w.s, sizeof(w.s), v > 0 && v < 0.05 ? "0" : "%.1f", v);
	else if (v < 99999.5)
		snprintf(w.s, sizeof(w.s), "%.0f", v);
	else if (v < 99.95e6)
		snprintf(w.s, sizeof(w.s), "%.0fk", v / 1e3);
	else
		snprintf(w.s, sizeof(w.s), "%.0fM", v / 1e6);
	if (v == 0)
		snprintf(w.s, sizeof(w.s), "0");
	return w;
}

static struct word duration(double ns)
{
	struct word w;
	if (ns < 999.5)
		snprintf(w.s, sizeof(w.s), "%.0fns", ns);
	else if (ns < 999.5e3)
		snprintf(w.s, sizeof(w.s), ns < 9950 ? "%.1fus" : "%.0fus", ns / 1e3);
	else if (ns < 999.5e6)
		snprintf(w.s, sizeof(w.s), ns < 9.95e6 ? "%.1fms" : "%.0fms", ns / 1e6);
	else if (ns < 99.5e9)
		snprintf(w.s, sizeof(w.s), "%.1fs", ns / 1e9);
	else if (ns < 99.5 * 60e9)
		snprintf(w.s, sizeof(w.s), "%.0fm", ns / 60e9);
	else
		snprintf(w.s, sizeof(w.s), "%.1fh", ns / 3600e9);
	return w;
}

static struct word percentile(const struct top_latency *l, double ns)
{
	struct word none = { "-" };
	return l->n ? duration(ns) : none;
}

static struct word cpu_time(int64_t ns)
{
	struct word w;
	long hundredths = (long)(ns / 10000000);
	snprintf(w.s, sizeof(w.s), "%ld:%02ld.%02ld", hundredths / 6000, hundredths / 100 % 60, hundredths % 100);
	return w;
}

static struct word clock_time(int64_t ns)
{
	struct word w;
	long s = (long)(ns / NSEC_PER_SEC);
	snprintf(w.s, sizeof(w.s), "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	return w;
}

/* --- the parts --- */

static const char *process_state(char state)
{
	return state == 'T' ? ", STOPPED" : state == 't' ? ", stopped by a debugger" : state == 'D' ? ", in disk sleep" : "";
}

static void add_waits(struct top_text *t, const struct top *d)
{
	char text[256];
	size_t n = (size_t)snprintf(text, sizeof(text), "threads: %zu; %zu running, %zu runnable, %zu in system calls, %zu waiting",
				    d->now.ng, d->by_status[Grunning], d->by_status[Grunnable], d->by_status[Gsyscall],
				    d->by_status[Gwaiting]);
	const char *sep = ":";
	for (int i = 0; i < NWaitReason && n < sizeof(text); i++) {
		if (!d->by_reason[i])
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %zu %s", sep, d->by_reason[i], top_reason_name(i));
		sep = ",";
	}
	top_view_add(t, StylePlain, "%s", text);
}

void top_view_summary(struct top_text *t, const struct top *d)
{
	const struct sched *s = &d->now.sched;
	uint32_t local = 0;
	for (int i = 0; i < d->np; i++)
		local += load_rlx(&d->p[i].p->runqtail) - load_rlx(&d->p[i].p->runqhead) + (load_rlx(&d->p[i].p->runnext) != NULL);
	top_view_add(t, StyleTitle, "preloom top: process %d (%s), up %s, gomaxprocs %d, CPU %.1f %%%s", (int)d->t->pid, d->comm,
		     clock_time(d->now.now - s->start_ns).s, d->np, d->cpu, process_state(d->state));
	add_waits(t, d);
	top_view_add(t, StylePlain,
		     "per second: %s switches, %s migrations, %s steals, %s preemptions, %s hand-offs, %s P's retaken",
		     amount(d->switches).s, amount(d->migrations).s, amount(d->steals).s, amount(d->preempts).s,
		     amount(d->handoffs).s, amount(d->retakes).s);
	top_view_add(t, StylePlain, "run queues: global %u, local %u; ready to run: p50 %s, p99 %s; kernel threads: %u, %u idle",
		     load_rlx(&s->runqsize), local, percentile(&d->latency, d->latency.p50).s,
		     percentile(&d->latency, d->latency.p99).s, s->nm + s->sysmon_started, s->nmidle);
}

void top_view_ps(struct top_text *t, const struct top *d)
{
	static const char *const names[] = { "idle", "running", "syscall", "stopping" };
	top_view_add(t, StyleHead, "%5s %-8s %6s %6s %9s %8s %8s  %s", "P", "STATE", "UTIL%", "QUEUE", "SWITCH/S", "P50", "P99",
		     "RUNS");
	for (int i = 0; i < d->np; i++) {
		const struct top_p *p = &d->p[i];
		const struct snap_g *g = p->goid ? snapshot_g_by_goid(&d->now, p->goid) : NULL;
		char runs[64] = "-";
		uint32_t n = load_rlx(&p->p->runqtail) - load_rlx(&p->p->runqhead) + (load_rlx(&p->p->runnext) != NULL);
		if (g)
			snprintf(runs, sizeof(runs), "%lu \"%.*s\"", (unsigned long)p->goid, GNAME_LEN, g->g.name);
		top_view_add(t, StylePlain, "%5d %-8s %6.1f %6u %9s %8s %8s  %s", i,
			     load_rlx(&p->p->status) <= Pdead ? names[load_rlx(&p->p->status)] : "?", p->busy, n,
			     amount(p->switches).s, percentile(&p->latency, p->latency.p50).s,
			     percentile(&p->latency, p->latency.p99).s, runs);
	}
}

static const char *m_state(const struct m *m)
{
	return m->sysmon ? "sysmon" : m->p ? m->curg ? "running" : m->spinning ? "spinning" : "scheduling" : m->curg ? "syscall" : "idle";
}

void top_view_ms(struct top_text *t, const struct top *d)
{
	top_view_add(t, StyleHead, "%5s %8s %-10s %6s %5s %9s  %s", "M", "TID", "STATE", "CPU%", "P", "CALLS/S", "RUNS");
	for (size_t i = 0; i < d->nm; i++) {
		const struct top_m *m = &d->m[i];
		const struct snap_g *g = snapshot_g_at(&d->now, (uintptr_t)m->m->curg);
		char runs[80] = "-", p[24] = "-", cpu[16] = "-";
		size_t at = m->m->p ? (size_t)((uintptr_t)m->m->p - d->t->h.allp) / sizeof(struct p) : 0;
		if (m->m->p)
			snprintf(p, sizeof(p), "%zu", at);
		if (m->cpu >= 0)
			snprintf(cpu, sizeof(cpu), "%.1f", m->cpu);
		if (g)
			snprintf(runs, sizeof(runs), "%lu \"%.*s\"%s", (unsigned long)g->g.goid, GNAME_LEN, g->g.name,
				 m->m->lockedg ? ", wired" : "");
		top_view_add(t, StylePlain, "%5d %8d %-10s %6s %5s %9s  %s", m->m->id, m->m->procid, m_state(m->m), cpu, p,
			     amount(m->syscalls).s, runs);
	}
}

void top_view_head(struct top_text *t, const struct top_options *o)
{
	top_view_add(t, StyleHead, "%8s %-8s %6s %10s %9s %9s %7s %-15s  %s", "GOID", "STATE", "CPU%", "TIME", "SWITCH/S",
		     "MIGR/S", "SINCE", "NAME", "WAITS FOR / RUNS");
	(void)o;
}

void top_view_rows(struct top_text *t, const struct top *d, size_t from, size_t n)
{
	for (size_t i = from; i < from + n && i < d->nrow; i++) {
		const struct top_row *r = &d->row[i];
		const struct g *g = &r->g->g;
		top_view_add(t, r->cpu >= 50 ? StyleBusy : StylePlain, "%8lu %-8s %6.1f %10s %9s %9s %7s %-15.*s  %s%s",
			     (unsigned long)g->goid, top_status_name(g), r->cpu, cpu_time(r->cpu_ns).s, amount(r->switches).s,
			     amount(r->migrations).s, r->since_ns < 0 ? "-" : duration((double)r->since_ns).s, GNAME_LEN, g->name,
			     r->what, g->lockedm ? " (wired)" : "");
	}
}
