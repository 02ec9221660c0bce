/* profdata.h - a profile of a process, copied from its tables. Counts only grow there: a span of time is the difference of
 * two copies.
 */
#ifndef PRELOOM_PROFDATA_H
#define PRELOOM_PROFDATA_H

#include "../../runtime/prof.h"
#include "../../runtime/runtime.h"
#include "target.h"

struct prof_thread {
	uint64_t goid; /* 0: none, or all threads with this entry */
	uint32_t tid;
	uintptr_t entry;
	char name[GNAME_LEN + 1];
};

struct prof_sample {
	uint64_t key; /* its place in the process's table */
	const uintptr_t *pc; /* innermost first; each lies in the instruction that runs: look it up as it is */
	uint32_t npc;
	const struct prof_thread *thread; /* NULL: preloom's scheduler, or a thread that found no place */
	const char *call; /* of profdata_trim: the function of the C library that was called; NULL */
	uint32_t state;			  /* a reason of enum waitreason, or enum prof_state */
	int64_t count, value;
};

struct profdata {
	enum prof_type type;
	struct prof_kind kind;
	struct prof_sample *sample;
	size_t n;
	struct prof_thread *thread;
	uintptr_t *words;
	uint64_t lost;
	int64_t duration_ns;
	uintptr_t *extra_pc; /* of profdata_add_alive */
	struct prof_thread *extra_thread;
};

/* False: the process is gone. A kind that was never started has no samples. */
bool profdata_read(const struct target *t, enum prof_type type, struct profdata *d);
/* What came since: `from` is the same profile earlier. */
void profdata_since(struct profdata *d, const struct profdata *from);
/* Threads that were alive before the profile of births began, by what is known of their making. */
bool profdata_add_alive(const struct target *t, struct profdata *d);
void profdata_sort(struct profdata *d); /* the largest value first */
void profdata_free(struct profdata *d);

const char *prof_type_name(enum prof_type t);
bool prof_type_of(const char *name, enum prof_type *t);
const char *prof_state_name(uint32_t state);

#endif
