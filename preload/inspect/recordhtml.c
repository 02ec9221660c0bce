/* recordhtml.c - a recording as one page that needs nothing else: record.html with its data inside.
 *
 * Times in the page's data are whole numbers of a unit of 100 ns, and each interval stands as its distance from the one
 * before, its length, what it is and a detail; so a page of 300,000 intervals has a few megabytes.
 */
#include "record.h"
#include "../arch/x86_64/sysname.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNIT_NS 100
#define MARK "@DATA@"
#define SHOWN_THREADS 2000
#define SHOWN_LOCKS 200
#define NSYS 512

extern const char record_page[], record_page_end[];

/* A string of JSON that is also harmless inside a script element. */
void record_put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 32 || c == '<' || c == 127)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void put_member(FILE *f, const char *name, const char *value)
{
	fprintf(f, "\"%s\":", name);
	record_put_string(f, value);
	fputc(',', f);
}

/* --- the timeline --- */

static unsigned long units(const struct recording *r, uint64_t ticks)
{
	uint64_t t = ticks > r->w.start_ticks ? ticks - r->w.start_ticks : 0;
	return (unsigned long)((double)t * r->w.ns_per_tick / UNIT_NS);
}

static int page_code(uint8_t what)
{
	static const int codes[NLife] = { [LifeRunnable] = 1, [LifeRunning] = 2, [LifeSyscall] = 3, [LifeWaiting] = 4 };
	return what < NLife ? codes[what] : 0;
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void put_rows(const struct recording *r, struct timeline *t, FILE *f)
{
	if (t->nrows)
		qsort(t->row, t->nrows, sizeof(*t->row), by_id);
	for (size_t i = 0; i < t->nrows; i++) {
		unsigned long at = 0;
		fprintf(f, "%s{\"id\":%lu,\"s\":[", i ? "," : "", (unsigned long)t->row[i].id);
		for (size_t k = 0; k < t->row[i].n; k++) {
			const struct slice *s = &t->row[i].v[k];
			unsigned long from = units(r, s->from), to = units(r, s->to);
			fprintf(f, "%s%lu,%lu,%d,%u", k ? "," : "", from > at ? from - at : 0, to > from ? to - from : 0,
				page_code(s->what), s->detail);
			at = to > at ? to : at;
		}
		fputs("]}\n", f);
	}
}

/* --- the tables --- */

static void put_times(const struct recording *r, FILE *f, const uint64_t total[NLife], uint64_t worst, uint64_t runs)
{
	fprintf(f, "\"cpu\":%.7g,\"sys\":%.7g,\"ready\":%.7g,\"wait\":%.7g,\"worst\":%.7g,\"runs\":%lu",
		seconds_of(r, total[LifeRunning]), seconds_of(r, total[LifeSyscall]), seconds_of(r, total[LifeRunnable]),
		seconds_of(r, total[LifeWaiting]), seconds_of(r, worst), (unsigned long)runs);
}

static void put_entries(struct recording *r, FILE *f)
{
	char mostly[96];
	size_t n;
	struct entry_sum *e = entries_of(r, &n);
	for (size_t i = 0; e && i < n; i++) {
		fputs(i ? ",\n{" : "{", f);
		put_member(f, "name", e[i].name);
		put_member(f, "mostly", waited_mostly(&e[i], mostly, sizeof(mostly)));
		fprintf(f, "\"count\":%lu,", (unsigned long)e[i].count);
		put_times(r, f, e[i].total, e[i].worst_delay, e[i].runs);
		fputc('}', f);
	}
	free(e);
}

static int by_cpu(const void *a, const void *b)
{
	const struct trace_g *x = *(struct trace_g *const *)a, *y = *(struct trace_g *const *)b;
	uint64_t p = x->total[LifeRunning], q = y->total[LifeRunning];
	return p < q ? 1 : p > q ? -1 : x->goid < y->goid ? -1 : 1;
}

static void put_threads(struct recording *r, FILE *f)
{
	char name[96];
	size_t n = tracemodel_count(r->w.tm);
	const struct trace_g **g = malloc((n ? n : 1) * sizeof(*g));
	for (size_t i = 0; g && i < n; i++)
		g[i] = tracemodel_at(r->w.tm, i);
	if (g)
		qsort(g, n, sizeof(*g), by_cpu);
	for (size_t i = 0; g && i < n && i < SHOWN_THREADS; i++) {
		snprintf(name, sizeof(name), "G%lu %s", (unsigned long)g[i]->goid, g[i]->name);
		fprintf(f, "%s{\"id\":%lu,\"tid\":%u,\"parent\":%lu,", i ? ",\n" : "", (unsigned long)g[i]->goid, g[i]->tid,
			(unsigned long)g[i]->parent);
		put_member(f, "name", name);
		put_member(f, "entry", entry_name(r, g[i]));
		put_member(f, "end", g[i]->life == LifeDead ? "ended" : "lives");
		put_times(r, f, g[i]->total, g[i]->worst_delay, g[i]->runs);
		fputc('}', f);
	}
	free(g);
}

static void put_locks(struct recording *r, FILE *f)
{
	char text[128];
	for (size_t i = 0; i < r->nmutexes && i < SHOWN_LOCKS; i++) {
		const struct lock_sum *l = &r->locks.slot[i];
		fprintf(f, "%s{\"waits\":%lu,\"wait\":%.7g,\"longest\":%.7g,", i ? ",\n" : "", (unsigned long)l->waits,
			seconds_of(r, l->ticks), seconds_of(r, l->longest));
		put_member(f, "place", place_of(r, l->address, text, sizeof(text)));
		fputs("\"holder\":", f);
		record_put_string(f, l->holder ? thread_name_of(r, l->holder, text, sizeof(text)) : "");
		fputc('}', f);
	}
}

/* --- the whole --- */

static void put_head(struct recording *r, FILE *f)
{
	const struct trace_sums *s = tracemodel_sums(r->w.tm);
	uint64_t worst = 0;
	char date[64];
	time_t now = time(NULL);
	struct tm tm;
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M", localtime_r(&now, &tm));
	put_member(f, "title", r->title);
	put_member(f, "date", date);
	put_member(f, "how", r->how);
	put_member(f, "version", PRELOOM_VERSION);
	fprintf(f, "\"pid\":%d,\"span\":%.9g,\"unit\":%g,\"procs\":%d,", (int)r->pid, r->seconds, UNIT_NS / 1e9, s->gomaxprocs);
	fprintf(f, "\"threads_total\":%zu,\"switches\":%lu,\"syscalls\":%lu,\"preempts\":%lu,\"lost\":%lu,",
		tracemodel_count(r->w.tm), (unsigned long)s->by_type[TraceRun], (unsigned long)s->by_type[TraceEnter],
		(unsigned long)s->by_type[TracePreempt], (unsigned long)r->w.lost);
	for (size_t i = 0; i < tracemodel_count(r->w.tm); i++)
		if (tracemodel_at(r->w.tm, i)->worst_delay > worst)
			worst = tracemodel_at(r->w.tm, i)->worst_delay;
	fprintf(f, "\"worst\":{\"delay\":%.7g},\"busy\":[", seconds_of(r, worst));
	for (int p = 0; p <= s->max_p; p++)
		fprintf(f, "%s%.7g", p ? "," : "", seconds_of(r, tracemodel_p(r->w.tm, p)->busy));
	fputs("],\n", f);
}

static void put_names(FILE *f)
{
	fputs("\"reasons\":[", f);
	for (uint32_t i = 0; i < NWaitReason; i++) {
		fputs(i ? "," : "", f);
		record_put_string(f, wait_name(i));
	}
	fputs("],\"sysnames\":[", f);
	for (int i = 0; i < NSYS; i++) {
		const char *name = sysname(i);
		fputs(i ? "," : "", f);
		record_put_string(f, !strcmp(name, "?") ? "" : name);
	}
	fputs("],\n", f);
}

static void put_data(struct recording *r, FILE *f)
{
	fputc('{', f);
	put_head(r, f);
	put_names(f);
	fputs("\"p\":[", f);
	put_rows(r, &r->ps, f);
	fputs("],\n\"g\":[", f);
	put_rows(r, &r->gs, f);
	fputs("],\n\"entries\":[", f);
	put_entries(r, f);
	fputs("],\n\"locks\":[", f);
	put_locks(r, f);
	fputs("],\n\"threads\":[", f);
	put_threads(r, f);
	fputs("],\n\"flames\":[", f);
	record_put_flames(r, f);
	fputs("]}", f);
}

bool record_html(struct recording *r, FILE *f)
{
	size_t n = (size_t)(record_page_end - record_page);
	const char *at = memmem(record_page, n, MARK, strlen(MARK));
	if (!at)
		return false;
	size_t head = (size_t)(at - record_page), behind = head + strlen(MARK);
	fwrite(record_page, 1, head, f);
	put_data(r, f);
	fwrite(record_page + behind, 1, n - behind, f);
	return fflush(f) == 0 && !ferror(f);
}
