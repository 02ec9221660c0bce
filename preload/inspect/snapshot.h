/* snapshot.h - the scheduler's state in a process, copied once into plain arrays.
 *
 * Not atomic: the process goes on meanwhile, unless somebody stopped it (stop.h). Nothing here follows a pointer without
 * a bound, so torn or changing lists end.
 */
#ifndef PRELOOM_SNAPSHOT_H
#define PRELOOM_SNAPSHOT_H

#include "../../runtime/runtime.h"
#include "target.h"

struct snap_g {
	uintptr_t addr; /* in the process */
	struct g g;
};

struct snap_tid {
	uint32_t tid, at; /* at: place in g */
};

struct snap_m {
	uintptr_t addr;
	struct m m;
};

struct snapshot {
	struct sched sched;
	struct p *p;
	int np;
	struct snap_m *m;
	size_t nm;
	struct snap_g *g; /* those that are alive, in the order of their goid */
	size_t ng;
	struct snap_tid *by_tid; /* of all g, sorted */
	int64_t now;	   /* CLOCK_MONOTONIC */
	uint64_t now_ticks; /* arch_cputicks() */
	double ns_per_tick;
};

/* False: the process is gone, or is no longer readable. */
bool snapshot_take(const struct target *t, struct snapshot *s);
void snapshot_free(struct snapshot *s);

const struct snap_g *snapshot_g_at(const struct snapshot *s, uintptr_t addr);
const struct snap_g *snapshot_g_by_tid(const struct snapshot *s, uint32_t tid);
const struct snap_g *snapshot_g_by_goid(const struct snapshot *s, uint64_t goid);
const struct snap_m *snapshot_m_at(const struct snapshot *s, uintptr_t addr);
/* The M's place in s->m of the kernel thread id, or NULL. */
const struct snap_m *snapshot_m_by_procid(const struct snapshot *s, int procid);

/* For how long it has been in its state, in ns; -1 where that is not known. */
int64_t snapshot_since(const struct snapshot *s, const struct g *g);
/* CPU time of a G, with its current run; in ticks, and in ns. */
uint64_t snapshot_ticks(const struct snapshot *s, const struct g *g);
int64_t snapshot_cpu(const struct snapshot *s, const struct g *g);

#endif
