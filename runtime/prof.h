/* prof.h - profiles: what is counted by stack and thread while the program runs. Rendered by the `preloom` command, which
 * reads these structures from outside and is compiled with this header.
 *
 * Five kinds share one table of stacks and one of labels (threads); each has its own counters:
 *
 *   cpu      samples of what runs, by a timer on each M's CPU clock        count: samples, value: ns of CPU
 *   block    waits that ended (or go on when the profile ends), by site    count: waits, value: ns
 *   mutex    waits for locks, by the site of the unlock that ended them    count: waits, value: ns
 *   threads  births, by site                                              count: born, value: of those alive
 *   wall     samples of all threads, whatever they do                     count: samples, value: ns
 */
#ifndef PRELOOM_PROF_H
#define PRELOOM_PROF_H

#include "inspect.h"

enum prof_type { ProfCpu, ProfBlock, ProfMutex, ProfThreads, ProfWall, NProf };

#define PROF_DEPTH 128
#define PROF_STACKS (1u << 15)
#define PROF_WORDS (1u << 20)
#define PROF_LABELS (1u << 16)
#define PROF_BUCKETS (1u << 16)

/* What a G did: a reason of enum waitreason, or one of these. */
enum prof_state { ProfRunning = 64, ProfRunnable, ProfSyscall, ProfScheduler };

struct prof_stack {
	_Atomic uint64_t key;
	_Atomic uint32_t at; /* 1 + where in words; 0: not there yet */
	_Atomic uint32_t n;
};

/* A thread; those of kind `threads` have no goid, they stand for all with this entry. */
struct prof_label {
	_Atomic uint64_t key;
	uint64_t goid, entry;
	uint32_t tid;
	_Atomic uint32_t ready;
	_Atomic uint64_t name[2];
};

struct prof_bucket {
	_Atomic uint64_t key; /* PROF_KEY; 0: free */
	_Atomic uint64_t count, value;
};

/* Places are counted from 1; label 0: no thread. */
#define PROF_KEY(stack, label, state) ((uint64_t)(stack) | (uint64_t)(label) << 24 | (uint64_t)(state) << 48)
#define PROF_KEY_STACK(k) ((uint32_t)(k) & 0xffffff)
#define PROF_KEY_LABEL(k) ((uint32_t)((k) >> 24) & 0xffffff)
#define PROF_KEY_STATE(k) ((uint32_t)((k) >> 48))

struct prof_kind {
	struct prof_bucket *_Atomic bucket;
	_Atomic uint32_t running;
	uint32_t rate;	       /* cpu, wall: per second; block, mutex: ns that one wait stands for */
	int64_t start_ns, stop_ns; /* CLOCK_MONOTONIC; stop: 0 while it runs */
	int64_t until_ns;	   /* when it ends by itself, should the tool that began it be gone; 0: never */
	uint64_t start_ticks, rate_ticks;
	bool adapts; /* block, mutex: no rate was asked for, so it may be coarser where much is to be counted */
	_Atomic uint64_t lost; /* did not fit into the tables */
	_Atomic uint32_t nbuckets;
};

struct prof {
	struct prof_stack *_Atomic stacks;
	uintptr_t *words;
	struct prof_label *labels;
	_Atomic uint32_t nwords;
	struct prof_kind kind[NProf];
	uint64_t ticks_per_ms;
};
extern struct prof prof;

static inline uint32_t prof_flag(enum prof_type t)
{
	static const uint8_t flag[NProf] = { InspectProf, InspectBlock, InspectMutex, InspectThread, InspectWall };
	return flag[t];
}

struct g;
struct m;
struct kuc;
struct ksiginfo;
struct futexbucket;
struct unwind;

/* prof.c. rate 0: the default. 0, or -errno (-EBUSY: runs already, -ENOMEM). */
long prof_start(enum prof_type t, uint32_t rate, int64_t until); /* until: CLOCK_MONOTONIC, 0: for good */
long prof_stop(enum prof_type t); /* what still goes on is counted in */
void prof_finish(void);		  /* the same for all at the process's end: takes no lock */
void prof_work(int64_t now); /* from sysmon */
void prof_after_fork(struct m *self);

/* profexit.c: profiles that are written when the process ends */
void prof_write_at_exit(enum prof_type t, int fd, const char *format);
bool prof_exit_wanted(void);
void prof_exit(void); /* by process_ending, when nothing runs any more */
void prof_exit_after_fork(void);

/* proftab.c */
bool prof_tables(enum prof_type t); /* makes them; false: no memory */
uint32_t prof_stack_of(struct unwind *u, bool skip_ours);
uint32_t prof_label_of(const struct g *g);
uint32_t prof_label_of_entry(uintptr_t entry);
struct prof_bucket *prof_bucket_of(enum prof_type t, uint32_t stack, uint32_t label, uint32_t state);
void prof_count(enum prof_type t, uint32_t stack, uint32_t label, uint32_t state, uint64_t count, uint64_t value);

/* profcpu.c */
void prof_m_start(struct m *m);			/* on that M: its timer is made, or dropped, as is due */
void prof_m_stop(struct m *m);
void prof_tell_all(void);			/* has every M call prof_m_start */
bool prof_is_signal(const struct ksiginfo *info); /* is the preempt signal one of ours? */
void prof_signal(struct m *m, const struct ksiginfo *info, const struct kuc *uc);
int prof_wall_timer(int tid, uint32_t rate);	/* its id; it rings prof_wall_rings */
void prof_timer_delete(int id);
void prof_wall_ask(int tid, uint32_t n);	/* what that M runs counts n times */

/* profwall.c */
void prof_wall_rings(uint32_t n); /* from the handler */
void prof_wall_work(void);	  /* from sysmon */
void prof_wall_after_fork(void);

/* profblock.c: hooks */
void prof_block(struct g *g);	      /* the wait that is in g->waitreason has ended */
void prof_block_syscall(struct g *g); /* so has a system call that took long */
void prof_block_finish(void);	      /* those that have not ended */
uint64_t prof_mutex_delay_locked(struct futexbucket *b, uintptr_t addr, uint64_t *count);
void prof_mutex(uint64_t delay, uint64_t count); /* the calling G caused it */
void prof_thread_born(struct g *g);
void prof_thread_dead(struct g *g);

static inline uint64_t prof_ns(uint64_t ticks)
{
	uint64_t per_ms = prof.ticks_per_ms;
	return ticks / per_ms * 1000000 + ticks % per_ms * 1000000 / per_ms;
}

#endif
