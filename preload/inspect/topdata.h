/* topdata.h - what `preloom top` shows, computed from two looks at a process.
 */
#ifndef PRELOOM_TOPDATA_H
#define PRELOOM_TOPDATA_H

#include "snapshot.h"
#include "symbols.h"

enum top_sort { SortCpu, SortTime, SortSwitches, SortMigrations, SortWait, SortId, SortName, SortState, NSort };

struct top_row {
	const struct snap_g *g;
	double cpu;	  /* in percent of one CPU */
	int64_t cpu_ns;	  /* in all */
	int64_t since_ns; /* in its state for; -1: unknown */
	double switches, migrations; /* per second */
	char what[160];	  /* waits for, or runs */
};

struct top_latency {
	double p50, p99; /* ns */
	uint64_t n;
};

struct top_p {
	const struct p *p;
	double busy; /* percent */
	double switches;
	uint64_t goid; /* runs; 0: none */
	struct top_latency latency;
};

struct top_m {
	const struct m *m;
	double cpu; /* percent; -1: unknown */
	double syscalls;
	uint64_t cpu_ns;
};

struct top {
	struct target *t;
	struct symbols *sym;
	struct stacks *stacks; /* NULL: not needed yet */
	struct snapshot now, before;
	bool has_before;
	double seconds; /* between them */

	struct top_row *row; /* those that the filter lets through, sorted */
	size_t nrow;
	struct top_p *p;
	int np;
	struct top_m *m;
	size_t nm;
	struct top_latency latency;
	size_t by_status[Gdead + 1], by_reason[NWaitReason];
	double switches, migrations, steals, preempts, retakes, handoffs; /* per second */
	double cpu; /* of the process, percent */
	uint64_t cpu_clock, before_cpu_clock; /* in the kernel's ticks */
	char comm[32];
	char state; /* as in /proc */
};

struct top_options {
	enum top_sort sort;
	bool reverse;
	char filter[64];
	bool kernel_threads; /* M's are wanted */
};

extern const char *const top_sort_names[NSort];

bool top_open(struct top *d, struct target *t);
void top_close(struct top *d);
/* Looks again. False: the process is gone. */
bool top_look(struct top *d, const struct top_options *o);
/* Sorts and filters anew what was seen. False: out of memory. */
bool top_arrange(struct top *d, const struct top_options *o);
/* Finds out for n rows what they wait for in detail, which costs reading their stacks. */
void top_explain(struct top *d, size_t from, size_t n);

const char *top_status_name(const struct g *g);
const char *top_reason_name(enum waitreason r);

#endif
