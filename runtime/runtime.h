/* runtime.h - the scheduler's types and functions: G, M, P, and who may touch what.
 *
 * A G is a thread of the program, an M a kernel thread, a P the right to run one G (there are GOMAXPROCS of them).
 *
 * status     stack and registers belong to          who moves it on
 * Gidle      nobody; being made                      its maker
 * Grunnable  nobody; on exactly one run queue        the P that takes it
 * Grunning   itself, on an M with a P                itself, or preemption
 * Gsyscall   itself, on an M; the P may be retaken   itself, on return
 * Gwaiting   nobody; it has one wait record          whoever claims that record
 * Gdead      the free list                           a new thread
 *
 * Only g_setstatus changes a status. Functions whose name ends in _m run on g0 (the M's own stack); those that end
 * in _locked hold the lock named in their comment. Lock ranks are in lock.h.
 */
#ifndef PRELOOM_RUNTIME_H
#define PRELOOM_RUNTIME_H

#include "arch.h"
#include "base.h"
#include "latency.h"
#include "lock.h"
#include "os.h"
#include "sig.h"

enum gstatus { Gidle, Grunnable, Grunning, Gsyscall, Gwaiting, Gdead };
enum pstatus { Pidle, Prunning, Psyscall, Pdead };

/* Why a G waits; names are in preload/inspect/reason.c. */
enum waitreason {
	WaitNone,
	WaitFutex, /* these two first: wait.h */
	WaitFutexPI,
	WaitSleep,
	WaitIORead,
	WaitIOWrite,
	WaitPoll,
	WaitEpoll,
	WaitSignal,
	WaitM, /* the cap on kernel threads is reached */
	NWaitReason
};

/* How a wait ended; carried in the wait record. WakeWord + n: the n-th word of a futex_waitv. */
enum wake { WakeNone, WakeReady, WakeTimeout, WakeSignal, WakeWord = 128 };

/* Why a G is to look at its signals: one is deliverable that this G was chosen for; or something is in the inbox, perhaps
 * for another. */
enum { IntrSignal = 1, IntrInbox = 2 };

/* The wait record: sequence number << 32 | how it ended << 8 | state. See park.c. */
enum waitstate { WaitIdle, WaitPrepared, WaitParked, WaitClaimed };

#define NPLACES 3 /* see preempt.c */

struct g;
struct m;
struct p;

typedef void (*timer_fn)(struct g *g, uint32_t seq);

/* One deadline. Belongs to the heap of `pp` while that is not NULL; see timer.c. */
struct timer {
	int64_t when;
	timer_fn fn;
	struct g *g;
	uint32_t seq;
	uint32_t index;
	struct p *_Atomic pp;
};

/* A waiter in a futex queue; lives in the G or, for waitv, on its stack. See futex.c. */
struct futexw {
	struct futexw *next, *prev;
	struct futexbucket *_Atomic bucket; /* NULL: not queued */
	uintptr_t addr;
	struct g *g;
	uint32_t seq;
	uint32_t bitset;      /* 0: one of the two below, not to be woken by a FUTEX_WAKE */
	uint32_t pi;	      /* waits for a PI lock at addr */
	uintptr_t requeue_pi; /* target of a FUTEX_WAIT_REQUEUE_PI, else 0 */
	uint32_t val;	      /* what it found there */
	enum wake how;	      /* what the wait record says if this waiter was woken */
};

#define GNAME_LEN 16

struct g {
	uintptr_t sp; /* assembly knows the first two */
	uintptr_t fs;
	_Atomic uint32_t status;
	uint32_t tid;	     /* what gettid says: above the kernel's pid_max, within a futex's 30 bits */
	_Atomic uint64_t wait;
	uint64_t goid;	     /* 1, 2, 3, … in the order of creation; never used again */
	struct g *schedlink; /* run queue, free list */
	struct m *m;	     /* the M that runs it */
	struct m *lockedm;   /* wired to this M (and that M to it) */
	const char *wired_why;
	int64_t wired_since;

	_Atomic uint32_t inshim;     /* preloom's code runs on this G's stack: no preemption, signals are deferred */
	_Atomic uint32_t preempt;    /* give the P away at the next chance; while it is runnable: it has done so */
	_Atomic uint32_t interrupt;  /* Intr…: blocking calls return -EINTR */
	struct regs *regs;	     /* the entry frame while inshim */
	void *xstate;		     /* extended state of the site beside it, NULL if it can have none */
	uintptr_t gs;		     /* with arch_gs_shared: the program's GS */
	int64_t deadline;	     /* of the call's relative timeout, once it is known, else 0 */
	int64_t resumed;	     /* the same, while the call is made again because nothing came of an interruption */

	uintptr_t stack_lo, stack_hi; /* 0 where unknown */
	uintptr_t clear_tid;	      /* CLONE_CHILD_CLEARTID */
	uintptr_t robust_list;

	uint8_t waitreason;
	int wait_fd;	     /* with WaitIO…: the descriptor */
	uintptr_t wait_addr; /* with WaitFutex…: the word */
	int syscall_nr;	     /* with Gsyscall */
	_Atomic uint32_t queuem; /* its call was ended so that it waits for an M, see bound.c */
	bool queuedm;		 /* it has waited */

	struct timer timer;
	struct futexw fw;
	struct gsig sig;

	char name[GNAME_LEN];
	uintptr_t entry;      /* start routine, where it is known */
	uintptr_t created_at; /* where it was made: behind the call of pthread_create, or of the system call */
	struct lockcheck_thread *lockcheck; /* with PRELOOM=lockcheck; stays with the G */
	uintptr_t created_above;   /* one frame further out, if a library passed it on; else 0 */
	uintptr_t created_through; /* where it did */
	uintptr_t spawn_entry, spawn_at, spawn_above, spawn_through; /* the same for the thread that this G is making, while it is in pthread_create */
	uint64_t parent_goid;

	uint64_t cputicks;    /* ticks on a CPU before the current run */
	uint64_t wait_ticks;  /* arch_cputicks() when it left the CPU or became runnable */
	uint64_t run_start;   /* arch_cputicks() at the start of the current run; 0: gave its P away for a system call */
	uint64_t ready_ticks; /* when it became runnable, if that is to be measured, else 0; see latency.h */
	uint64_t switches;
	uint64_t migrations;
	struct p *lastp;
	uintptr_t places[NPLACES]; /* where looks found it, see preempt.c */
	uint32_t nplaces;
	_Atomic uint32_t stays; /* looks in a row that found it at one of them; a new thread's first ones set it to 0 */
	_Atomic uint64_t retaken; /* when its P was last taken, or tried to be, during a system call */
	uint32_t slot;
	int policy, priority, nice; /* recorded, not applied */
	uint64_t affinity[16]; /* what sched_setaffinity was told, for 1024 CPUs */
	uint8_t affinity_set, nice_set;
	_Atomic bool no_new_privs; /* it asked for that, or inherited it from one that had; its kernel thread has it */
	bool confined;		   /* what it is wired for is inherited by threads that it makes */
	struct prof_bucket *prof_birth; /* where the profile of threads counts it */
};

/* How often an M counts what it sees, see profblock.c. */
struct prof_pace {
	uint64_t session; /* when the profile began that this belongs to */
	uint64_t rate;	  /* ticks from one sample to the next, of waiting or of time between unlocks */
	int64_t left;	  /* of that, up to the next one */
	uint64_t last;	  /* ticks, when the rate was looked at */
	uint32_t n;	  /* samples since then */
};

struct m {
	struct m *self; /* assembly knows the first five */
	struct g *curg; /* NULL on g0 between two G's */
	uintptr_t g0sp; /* top of g0's stack */
	uintptr_t fs;	/* FS base that is loaded */
	uint64_t fpctl; /* MXCSR and x87 control word that are loaded */

	uint32_t foreign; /* not an M: a kernel thread or vfork child that the program made; passes all to the kernel */
	int procid;	  /* kernel thread id */
	int id;
	struct p *p;	 /* attached P; NULL while blocked or idle */
	struct p *_Atomic oldp; /* P it had when it entered a system call */
	struct p *nextp; /* handed over with startm */
	struct g *lockedg;
	bool spinning;
	bool inherit; /* the G found last goes on in the time slice of the one before */
	bool sysmon;
	_Atomic uint32_t park; /* note: 1 wakes */
	_Atomic uint32_t waitsig;
	_Atomic uint32_t kicked; /* a kick is on its way to its handler */
	_Atomic uint32_t look;	 /* the kick asks whether its G spins, see preempt.c */
	_Atomic bool execs; /* what would be sent to it would end the new program */
	struct m *schedlink;
	struct m *alllink;
	uint32_t fastrand[2];
	struct prof_pace block_pace, mutex_pace;
	void *g0stack;
	size_t g0size;
	void *sigstack;
	size_t sigstack_size;
	bool tainted; /* a wired G changed this kernel thread: nobody else may use it */
	int locks; /* runtime locks held */
	uint32_t rank;
	uint64_t nsyscall;
	_Atomic uint32_t held; /* the process ends: it runs no more */
	_Atomic uint32_t world_seen; /* the last call that was to be made on every M */
	uint64_t ticks; /* arch_cputicks() when the last G left; 0: too long ago */
	struct trace_chunk *_Atomic trace; /* what it writes trace events to, in the session; see tracebuf.c */
	uint32_t trace_session;
	int prof_timer; /* 1 + its id, 0: none; see profcpu.c */
};

#define RUNQ_LEN 256
#define SCHED_TICK_GLOBAL 61

struct timerslot {
	int64_t when;
	struct timer *t;
};

struct timerheap {
	struct lock lock;
	struct timerslot *slot;
	uint32_t len, cap;
	_Atomic int64_t first; /* when of slot[0], 0 if none; read without the lock */
};

enum { LookNetwork = 1, LookSignals = 2 };

struct p {
	int id;
	_Atomic uint32_t status;
	struct p *link;
	struct m *m;
	struct g *_Atomic callg; /* whose system call it is or was in */
	_Atomic uint32_t schedtick;
	_Atomic uint32_t syscalltick;
	uint32_t sysmon_schedtick, sysmon_syscalltick;
	int64_t sysmon_schedwhen, sysmon_syscallwhen, sysmon_looknext;
	int64_t sysmon_runwhen; /* since then the same G runs */
	uint64_t sysmon_nspun;
	bool sysmon_waits, sysmon_preempted;
	uint32_t sysmon_inarow; /* slices that were used up, without a voluntary switch between */
	uint64_t sysmon_nswitch;

	_Atomic uint32_t runqhead __attribute__((aligned(64))); /* consumers, also thieves */
	_Atomic uint32_t runqtail;				 /* owner only */
	struct g *_Atomic runnext;
	struct g *_Atomic runq[RUNQ_LEN];

	struct timerheap timers;
	struct g *gfree; /* dead G's for reuse; owner only */
	uint32_t ngfree;
	uint32_t npassed; /* how often in a row its own G's were preferred to the global queue's first, see runq.c; owner only */
	struct g *gaveup; /* has just given this P away; owner only */
	_Atomic uint32_t outside; /* Look…: what its M is to look at although there are G's to run */
	_Atomic bool stop; /* it is to be given up for good, see resize.c; beside timers, which every look for a G reads */

	/* counters; owner writes, anyone reads */
	uint64_t nswitch, nsteal, nstolen, nhandoff, nretake, npreempt, noverflow, nglobal, nwakep, nready, ndeferred, nspin, nmigrated;
	uint32_t nyield;
	uint64_t yield_ticks, spun_ticks; /* arch_cputicks() at the last yield; between yields since the kernel was told */
	uint64_t nspun; /* G's that were found spinning and gave their P away */
	uint64_t sample_at; /* of nready: the next one whose latency is measured */
	uint64_t idle_ticks, idle_since; /* on the idle list: in all but for now; since when, 0: is not */
	uint32_t latency[LATENCY_BUCKETS];
} __attribute__((aligned(64)));

struct gqueue {
	struct g *head, *tail;
	uint32_t n;
};

#define MAXPROCS 1024

struct sched {
	struct lock lock;
	struct gqueue runq; /* the global queue */
	_Atomic uint32_t runqsize;
	struct p *pidle;
	_Atomic uint32_t npidle;
	_Atomic uint32_t nmspinning;
	struct m *midle;
	uint32_t nmidle;
	uint32_t mid;	  /* id of the next M */
	uint32_t nm;	  /* M's that exist */
	uint32_t maxm;	  /* bound on them */
	uint32_t nmlocked; /* M's that sleep because their wired G is not runnable */
	uint32_t nmpolling; /* 1: an M sleeps in netpoll for ever */
	int32_t maxblocked; /* bound on those in blocking calls without a P */
	_Atomic int32_t nmblocked; /* M's in blocking calls without a P */
	_Atomic uint32_t nwaitm;   /* G's that wait for an M because the bound is reached */
	_Atomic uint32_t maxm_warned;
	_Atomic bool no_new_privs; /* all M's have it: nobody need be wired for it */
	struct m *firstm; /* has the process's first kernel thread; never ends */
	struct m *allm;
	struct m *_Atomic newm; /* M's that sysmon is to start, because who needs them is wired */
	struct g *gfree;
	uint32_t ngfree;
	_Atomic int64_t lastpoll;  /* 0: an M is blocked in netpoll now */
	_Atomic int64_t polluntil; /* until when that M sleeps */
	_Atomic uint32_t sysmonwait;
	_Atomic uint32_t sysmonnote;
	_Atomic uint32_t sysmonfast; /* sysmon looks every few microseconds at present */
	_Atomic int64_t cpulook;     /* when it is to look at timers of CPU time; 0: there are none */
	_Atomic int gomaxprocs;	     /* what was asked for */
	_Atomic int nprocs;	     /* P's in use: as many, or 1, see narrow.c */
	int64_t start_ns;
	uint64_t start_ticks;
	bool active;	 /* activation is done: M's may be made */
	bool sysmon_started;
	_Atomic uint32_t ngs;	    /* G's of the program that are not dead */
	_Atomic uint32_t nforeign;  /* kernel threads of the program's own making, not ours */
	_Atomic uint32_t nhandlers; /* asynchronous signals with a handler: a signal may wake somebody */
	_Atomic uint64_t goidgen;
	int main_exit_code;

	/* counters */
	_Atomic uint64_t nmcreated, nsysmontick, nnarrow;
};

extern struct sched sched;
extern struct p allp[MAXPROCS];
/* There is one P: what only the holder of a P touches needs no locked instruction. Changes only while nobody holds a
 * P, see resize.c. */
extern bool one_p;
extern struct m m0;
extern struct g *main_g;

/* Options that the runtime reads; preload/options.c fills them in before activation. */
struct rt_options {
	uint64_t chaos;	     /* seed; 0: off */
	int64_t schedtrace;  /* period in ns; 0: off */
	bool scheddetail;
	uint32_t maxthreads; /* bound on M's */
	int logfd;	     /* where reports go; 2 by default */
	bool deadlock;	     /* report deadlocks (default) */
	bool stats;	     /* print the counters at exit */
	bool lockcheck;	     /* locks.c tells us what is locked */
	int64_t lockheld;    /* report locks held longer, in ns; 0: none */
	int traceback;	     /* GOTRACEBACK: enum traceback in crash.h */
	bool tracer;	     /* the program may trace its children: to the kernel, the one that forks does that */
	int cpus;	     /* that the process may use */
};
extern struct rt_options rt_opt;

/* proc.c, mp.c, ready.c: the scheduler */
void sched_init(int gomaxprocs);
/* These three, and whatever runs on g0 through arch_mcall, end in arch_gogo and do not come back. They are not declared
 * _Noreturn, so that compilers jump to the next of them instead of calling it: calls that never return put the
 * processor's prediction of return addresses out of step, which costs a hand-off more than all locked instructions. */
void schedule(void);
void execute(struct g *g, bool inherit); /* Grunnable → Grunning, here and now */
_Noreturn void m_start(struct m *m);
void ready(struct g *g);	    /* Gwaiting → Grunnable, on the current P's runnext */
void ready_last(struct g *g);	    /* the same, at the ring's end */
void ready_list(struct gqueue *q);  /* the same for many (netpoll, timers) */
void gosched(void);		    /* to the global queue's end */
void goyield(void);		    /* to the local queue's end */
void wakep(void);
void startm(struct p *pp, bool spinning);
void start_new_ms(void);
void handoffp(struct p *pp);
void stopm(void);
struct g *findrunnable_try(struct m *m, bool *inherit); /* all that rule 4 and 5 find without sleeping */
void acquirep(struct p *pp);
struct p *releasep(void);
void pidleput_locked(struct p *pp);
struct p *pidleget_locked(void);
void p_idle_end(struct p *pp);
void checkdead_locked(void);
uint32_t m_fastrand(struct m *m);
void lockosthread(const char *why);
extern const char wired_no_new_privs[]; /* a reason; this one alone can pass, see unlock_common */
bool lock_child(struct g *child);
void unlock_common(struct g *g);
void stoplockedm(void);		  /* this M's wired G cannot run now: sleep until it can */
void startlockedm(struct g *g); /* g is wired to another M: give that one our P */
void wired_wait_for_p(struct g *g); /* a wired G came back from a system call and found no P */

/* resize.c: the number of P's */
void procresize(int n);
bool procresize_step(int n, int64_t now);
bool procs_use_step(int n, int64_t now);
void stopp(void);

/* spin.c: M's that look on for a moment before they sleep */
bool spin_allowed(void);
void spin_idle(void);
void spin_woken(void);
bool spin_idly(struct m *m);

/* runq.c */
void runq_put(struct p *pp, struct g *g, bool next);
struct g *runq_get(struct p *pp, bool *inherit);
bool runq_empty(const struct p *pp);
struct g *runq_steal(struct p *pp, struct p *victim, bool steal_runnext);
uint32_t runq_size(const struct p *pp);
#define PASS_MAX 4 /* of npassed */
void globrunq_put_locked(struct g *g);
void globrunq_put_batch_locked(struct gqueue *q);
struct g *globrunq_get_locked(struct p *pp, uint32_t max);
void gqueue_push(struct gqueue *q, struct g *g);
struct g *gqueue_pop(struct gqueue *q);

/* g.c */
struct g *g_new(void); /* a dead or fresh G, status Gidle, ids set */
void g_free(struct g *g);
struct g *g_by_tid(uint32_t tid);
struct g *g_at(uint32_t slot); /* every G ever made: 0 ≤ slot < g_count(); NULL: not yet filled in */
uint32_t g_count(void);
void g_set_pid(int pid); /* thread ids are made with it */
void g_lock_for_fork(void);
void g_unlock_for_fork(void);
void g_reinit_after_fork(struct g *self);

/* park.c */
#include "wait.h"
enum wake wait_park(struct g *g);			 /* sleeps until somebody claims the record; says how it ended */
enum wake wait_cancel(struct g *g);			 /* ends a wait that need not park after all */
bool wake_g(struct g *g, uint32_t seq, enum wake how);	 /* claim and, if it was parked, ready(); true if claimed */

/* timer.c */
void timer_add(struct timer *t, int64_t when, timer_fn fn, struct g *g, uint32_t seq);
void timer_del(struct timer *t);
void timer_wake_poller(int64_t when);
void timer_wake(struct g *g, uint32_t seq); /* the usual fn: wakes with WakeTimeout */
int64_t timers_run(struct p *pp, int64_t now); /* returns the next `when` on pp, 0 if none; current time if now == 0 */
void timers_move(struct p *from, struct p *to);
int64_t timers_next(void);			  /* earliest of all P's, 0 if none */
int64_t sleep_until(int64_t when);		  /* parks; 0, or -EINTR */

/* syscall.c: real system calls that may block */
void entersyscall(int nr);
void entersyscall_block(int nr); /* the P goes at once */
void exitsyscall(void);
long blocking_syscall(struct g *g, long nr, const long args[6]); /* the whole; -EINTR only if g->interrupt */
long blocking_syscall_long(struct g *g, long nr, const long args[6]);

/* bound.c: blocking calls at the bound on M's */
void bound_init(void);
void bound_reset(void); /* after fork */
void bound_warn(void);
bool blocked_begin(void); /* an M goes into a blocking call without a P: false if there are too many */
void blocked_end(void);
bool bound_wait(struct g *g);
bool bound_reached(void);
bool bound_retake(struct p *pp);
void bound_next(void);
bool bound_spare_locked(int ps);
void bound_tick(int64_t now);
void bound_pass_deadlines(int64_t now);
void bound_lower_locked(void);
bool bound_is_lowered(void);

/* sysmon.c, retake.c, preempt.c */
_Noreturn void sysmon(void);
bool sysmon_start(void);
void sysmon_wake(void);
bool preempt_one(struct p *pp);
bool p_retake(struct p *pp, enum pstatus to);
void preempt_park(void); /* from the signal handler, on the G's stack */
void preempt_note_place(struct g *g, uintptr_t ip); /* at each look at what it does */
bool preempt_stays(const struct g *g);		    /* it was found at one place several times; from anywhere */
extern int preempt_signal;

/* m.c */
struct m *m_new(void);
bool m_init(struct m *m);
_Noreturn void m_retire(void); /* ends this kernel thread; it keeps its P no longer */
void m_abandon_locked(struct m *m);
void m_after_fork(struct m *self);
void note_sleep(_Atomic uint32_t *note, int64_t ns);
void note_wake(_Atomic uint32_t *note);

/* netpoll.c */
void netpoll_init(void);
bool netpoll_inited(void);
void netpoll_break(void);
void netpoll(int64_t delay_ns, struct gqueue *out); /* 0: do not block; < 0: for ever */
bool netpoll_waiters(void);
void netpoll_after_fork(void);

/* privfd.c: preloom's own descriptors */
int privfd_take(int fd); /* moves it to where the program does not find it; the new number */

/* world.c: a system call that must be made on every kernel thread */
long world_call(long nr, long a1, long a2, long a3); /* the caller runs on a G */
void world_answer(struct m *m);
void world_after_fork(struct m *self);

/* stack.c */
void *stack_alloc(size_t size);
bool stack_free(uintptr_t addr, size_t size); /* false: not from the pool */
bool stack_contains(uintptr_t addr);
bool stack_bounds(uintptr_t addr, uintptr_t *lo, uintptr_t *hi);
int stack_protect(uintptr_t addr, size_t size, int prot);
int stack_guard(uintptr_t lo, size_t n);
int stack_renew(uintptr_t addr, size_t size, int prot);
void stack_foreign(uintptr_t addr, size_t size);
bool stack_is_cooling(void);
void stack_tick(int64_t now);
void stack_lock(void);
void stack_unlock(void);
bool stack_ahead_wanted(void);
bool stack_make_ahead(void);

/* futex.c */
long futex_wait(struct g *g, uintptr_t addr, uint32_t val, uint32_t bitset, int64_t deadline); /* deadline: monotonic ns, 0 none */
long futex_wait_forever(uintptr_t addr, uint32_t val); /* the calling G, all bits, no deadline */
long futex_wake(uintptr_t addr, uint32_t n, uint32_t bitset);
void futex_reset(void); /* after fork */

/* robust.c */
void robust_exit(struct g *g); /* g ends */
void robust_exit_all(void);
bool robust_holds(struct g *g);
/* robust_exec.c: around an exec */
bool robust_exec_begin(void); /* true: to be followed by robust_exec_failed, if it fails */
void robust_exec_failed(void);
void robust_exec_after_fork(void);
void futex_pi_owner_died(uintptr_t word);

/* thread.c: birth and death of G's */
struct g *thread_new(const struct regs *parent, uintptr_t sp, uintptr_t fs, size_t stack_size); /* Gidle */
void thread_start(struct g *g);
void thread_launch(struct g *g); /* proc.c: a new runnable G to the current P */
_Noreturn void thread_exit(int code);

/* alloc.c */
void *rt_alloc(size_t n);		/* zeroed, never fails (throws) */
void *rt_grow(void *old, size_t old_n, size_t new_n);
void rt_free(void *p, size_t n);
void alloc_lock_for_fork(void);
void alloc_unlock_for_fork(void);
void alloc_after_vfork(void);

/* print.c, trace.c */
void rt_printf(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int rt_snprintf(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void schedtrace(bool detail);
void stats_print(void);
void dump_all(int fd, uint64_t goid);
const char *waitreason_name(enum waitreason r);

/* cputime.c */
int64_t g_cputime(struct g *g); /* ns on a CPU */

/* fork.c */
void fork_prepare(void);
void fork_parent(void);
void fork_child(bool locked); /* locked: fork_prepare was called */

static inline struct g *getg(void)
{
	return getm()->curg;
}

/* From which status to which: bits by the new one. */
static const uint8_t gstatus_edges[] = {
	[Gidle] = 1 << Grunnable | 1 << Gdead | 1 << Grunning,
	[Grunnable] = 1 << Grunning,
	[Grunning] = 1 << Grunnable | 1 << Gsyscall | 1 << Gwaiting | 1 << Gdead,
	[Gsyscall] = 1 << Grunning | 1 << Grunnable,
	[Gwaiting] = 1 << Grunnable,
	[Gdead] = 1 << Gidle,
};

/* The one function that changes a status. No compare-and-swap: in every state exactly one party may move the G on. Inline,
 * because with constant arguments the look at the table is done at compile time. */
static inline void g_setstatus(struct g *g, enum gstatus from, enum gstatus to)
{
	check(gstatus_edges[from] & 1 << to);
	if (unlikely(load_rlx(&g->status) != from))
		throw("g_setstatus: the G is not in the state that it should leave");
	/* release: the G's saved state is visible to whoever sees the new status */
	store_rel(&g->status, to);
}

/* A signal came where there was no P, and pp's holder is to see to it. */
static inline bool p_has_signals(const struct p *pp)
{
	return load_acq(&pp->outside) & LookSignals;
}

/* Takes `next` out of runnext of the caller's P. Only the owner fills it, others only empty it: a failed CAS means that it was
 * stolen. With one P there are no thieves. */
static inline bool runq_take_next(struct p *pp, struct g *next)
{
	if (one_p) {
		store_rlx(&pp->runnext, NULL);
		return true;
	}
	return atomic_compare_exchange_strong_explicit(&pp->runnext, &next, NULL, memory_order_acquire, memory_order_relaxed);
}

/* Accounting around a run: CPU time of the G, in ticks of the time-stamp counter. One reading serves the G that leaves
 * and the one that comes, unless the M slept between them. */
static inline void g_off_cpu(struct m *m, struct g *g)
{
	uint64_t now = arch_cputicks();
	g->cputicks += now - g->run_start;
	g->wait_ticks = now;
	m->ticks = now;
}

static inline void g_on_cpu(struct m *m, struct g *g, struct p *pp)
{
	g->run_start = m->ticks ? m->ticks : arch_cputicks();
	m->ticks = 0;
	g->switches++;
	if (unlikely(g->lastp != pp)) {
		g->migrations++;
		pp->nmigrated++;
		g->lastp = pp;
	}
	if (unlikely(g->ready_ticks))
		latency_end(pp, g);
}

/* The same if the M did not sleep, the G ran on this P last, and its latency is not measured. */
static inline void g_on_cpu_again(struct m *m, struct g *g)
{
	g->run_start = m->ticks;
	m->ticks = 0;
	g->switches++;
}

/* g, which becomes runnable, is about to be queued on pp. */
static inline void count_ready(struct p *pp, struct g *g)
{
	if (unlikely(++pp->nready >= pp->sample_at))
		latency_begin(pp, g);
}

#endif
