/* record.h - what `preloom record` has gathered, for those who write it down.
 */
#ifndef PRELOOM_RECORD_H
#define PRELOOM_RECORD_H

#include "locks.h"
#include "profile.h"
#include "proftree.h"
#include "timeline.h"
#include "watch.h"
#include <stdio.h>

/* The profiles of a recording. */
enum { FlameCpu, FlameBlock, FlameMutex, NFlame };

struct flame {
	struct profile_run run;
	struct proftree tree;
	bool begun, have;
};

struct recording {
	struct watch w;
	struct timeline gs, ps;
	struct locks locks;
	size_t nmutexes; /* the first of locks */
	struct flame flame[NFlame];
	char title[512]; /* the program and its arguments */
	pid_t pid;
	double seconds; /* of the trace */
	const char *how; /* how it ended */
};

/* Threads that begin in one function. */
struct entry_sum {
	const char *name;
	uint64_t count, alive;
	uint64_t total[NLife], waited[NWaitReason];
	uint64_t worst_delay, worst_at, worst_goid, runs;
};

/* Sums by entry function, the one with most CPU time first. The caller frees. NULL: out of memory, or there are none. */
struct entry_sum *entries_of(struct recording *r, size_t *n);
const char *waited_mostly(const struct entry_sum *e, char *buf, size_t size);
const char *wait_name(uint32_t why); /* of an enum waitreason */
/* An address as "libx.so+0x1234", "[heap]+0x10", or a number. */
const char *place_of(struct recording *r, uint64_t address, char *buf, size_t size);
const char *entry_name(struct recording *r, const struct trace_g *g);
const char *thread_name_of(struct recording *r, uint64_t goid, char *buf, size_t size);

/* recordprof.c */
void record_profiles_begin(struct recording *r); /* of a process that was not started by us */
void record_profiles_end(struct recording *r, bool ours);
void record_profiles_free(struct recording *r);
void record_put_flames(const struct recording *r, FILE *f);
void record_put_string(FILE *f, const char *s); /* of JSON */

void record_summary(struct recording *r, FILE *f);
bool record_html(struct recording *r, FILE *f); /* false: it could not be written */

static inline double seconds_of(const struct recording *r, uint64_t ticks)
{
	return (double)ticks * r->w.ns_per_tick / 1e9;
}

#endif
