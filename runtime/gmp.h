/* gmp.h - the scheduler's types: G, M, P, and who may touch what.
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
 * Only g_setstatus changes a status. Lock ranks are in lock.h.
 */
#ifndef PRELOOM_GMP_H
#define PRELOOM_GMP_H

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

enum { RecordedAffinity = 1, RecordedPolicy = 2, RecordedNice = 4, RecordedIoprio = 8 };

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
	_Atomic int64_t cpu_told; /* the most CPU time, ns, that was told of it: it never goes back */
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
	int policy, priority, nice, ioprio; /* recorded, not applied */
	uint64_t affinity[16]; /* what sched_setaffinity was told, for 1024 CPUs */
	_Atomic uint8_t recorded; /* Recorded…: which of these it was told, or its maker was */
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
	_Atomic uint32_t lives; /* the kernel clears it when the kernel thread ends */
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
	uint64_t forker; /* goid of the G, not wired, that made a process here; several: SEVERAL_FORKERS; 0: none */
	int locks; /* runtime locks held */
	uint32_t rank;
	uint64_t nsyscall;
	_Atomic uint32_t held; /* the process ends: it runs no more */
	_Atomic uint32_t world_seen; /* the last call that was to be made on every M */
	long world_result;	     /* what it returned here */
	uint64_t ticks; /* arch_cputicks() when the last G left; 0: too long ago */
	/* see cputime.c: */
	uint64_t counted;  /* ticks that count as its G's CPU time, since its kernel thread had used this: */
	int64_t cpu_ns;
	uint64_t cpu_ticks; /* arch_cputicks() then */
	struct trace_chunk *_Atomic trace; /* what it writes trace events to, in the session; see tracebuf.c */
	uint32_t trace_session;
	int prof_timer; /* 1 + its id, 0: none; see profcpu.c */
};

#define SEVERAL_FORKERS UINT64_MAX

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
	bool sysmon_waits, sysmon_preempted, sysmon_asked; /* asked: the G that ran at the last look, to give way */
	uint32_t sysmon_inarow; /* slices that were used up, without a voluntary switch between */
	uint64_t sysmon_nswitch, sysmon_nturns;

	_Atomic uint32_t runqhead __attribute__((aligned(64))); /* consumers, also thieves */
	_Atomic uint32_t runqtail;				 /* owner only */
	struct g *_Atomic runnext;
	struct g *_Atomic runq[RUNQ_LEN];

	struct timerheap timers;
	struct g *gfree; /* dead G's for reuse; owner only */
	uint32_t ngfree;
	bool sleeper_next; /* this look at the timers has put one into runnext; owner only */
	uint32_t npassed; /* how often in a row its own G's were preferred to the global queue's first, see runq.c; owner only */
	struct g *gaveup; /* has just given this P away; owner only */
	_Atomic uint32_t outside; /* Look…: what its M is to look at although there are G's to run */
	uint64_t look_ticks; /* arch_cputicks() when it last looked between two that hand off to each other; owner only, to chain_tick */
	uint64_t turn_ticks, turn_nswitch; /* and nswitch, when their turn began; 0: it begins */
	uint64_t chain_ticks; /* since when nobody ran but in the slice that they hand on, which has this schedtick: */
	uint32_t chain_tick;
	_Atomic bool stop; /* it is to be given up for good, see resize.c; beside timers, which every look for a G reads */

	/* counters; owner writes, anyone reads */
	uint64_t nswitch, nsteal, nstolen, nhandoff, nretake, npreempt, noverflow, nglobal, nwakep, nready, ndeferred, nspin, nmigrated;
	uint32_t nyield;
	uint64_t yield_ticks, spun_ticks; /* arch_cputicks() at the last yield; between yields since the kernel was told */
	uint64_t looked_ticks; /* when a yield last looked at the netpoller */
	uintptr_t fight_addr; /* the last word that a wait found changed; when, and how often in a row: */
	uint64_t fight_ticks;
	uint32_t fight_waits;
	uint64_t nfight; /* how often such a word was left to others for a moment */
	uint64_t nspun; /* G's that were found spinning and gave their P away */
	uint64_t nturns; /* slices of G's that hand off to each other which were over */
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
	struct gqueue runq, usedup; /* the global queue; usedup: those of it that wait since their slice is over */
	_Atomic uint32_t runqsize;  /* of both */
	uint64_t usedup_ticks;	    /* when one of usedup was last taken */
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
	_Atomic uint32_t sysmonwatches; /* it sleeps in the netpoller */
	_Atomic uint32_t computing; /* no P had more than a few G's since sysmon's last look: who is woken would wait for the next */
	_Atomic uint32_t sysmonfast; /* sysmon looks every few microseconds at present */
	_Atomic int64_t cpulook;     /* when it is to look at timers of CPU time; 0: there are none */
	_Atomic int gomaxprocs;	     /* what was asked for */
	_Atomic int nprocs;	     /* P's in use: as many, or 1, see narrow.c */
	int64_t start_ns;
	uint64_t start_ticks;
	int64_t main_cpu_ns; /* what the main thread had used before */
	bool active;	 /* activation is done: M's may be made */
	bool sysmon_started;
	_Atomic uint32_t ngs;	    /* G's of the program that are not dead */
	_Atomic uint32_t nforeign;  /* kernel threads of the program's own making, not ours */
	_Atomic uint32_t nexec, nexecover; /* calls of exec that were begun, and that have failed */
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

#endif
