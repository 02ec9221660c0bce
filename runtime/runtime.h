/* runtime.h - the scheduler's functions, by the file that they are in; its types are in gmp.h.
 *
 * Functions whose name ends in _m run on g0 (the M's own stack); those that end in _locked hold the lock named in their comment.
 */
#ifndef PRELOOM_RUNTIME_H
#define PRELOOM_RUNTIME_H

#include "gmp.h"

/* proc.c, find.c, mp.c, ready.c: the scheduler */
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
struct g *findrunnable(bool *inherit);
struct g *findrunnable_try(struct m *m, bool *inherit); /* all that rule 4 and 5 find without sleeping */
void acquirep(struct p *pp);
struct p *releasep(void);
void pidleput_locked(struct p *pp);
struct p *pidleget_locked(void);
void p_idle_end(struct p *pp);
void checkdead_locked(void);
uint32_t m_fastrand(struct m *m);
void lockosthread(const char *why);
void m_forks(void);
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

/* spin.c: M's that look on for a moment, before they sleep or instead of fighting */
bool spin_allowed(void);
void spin_idle(void);
void spin_woken(void);
bool spin_idly(struct m *m);
void spin_apart(uintptr_t addr);

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
/* The whole; -EINTR only if g->interrupt. A signal that came before the call was made: -ERESTARTNOINTR, as a call that finds
 * what it wants is not ended by signals; of the long form -EINTR, as somebody may have seen the G in the call by then. */
long blocking_syscall(struct g *g, long nr, const long args[6]);
long blocking_syscall_long(struct g *g, long nr, const long args[6]);
/* The same, until a deadline. */
long blocking_syscall_until(struct g *g, long nr, const long args[6], int64_t left[2], int64_t deadline);

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
void sysmon_no_p(void);
void sysmon_nudge(void); /* async-signal-safe */
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
bool netpoll(int64_t delay_ns, struct gqueue *out); /* 0: do not block; < 0: for ever. True: netpoll_break ended it */
bool netpoll_waiters(void);
void netpoll_after_fork(void);

/* privfd.c: preloom's own descriptors */
int privfd_take(int fd); /* moves it to where the program does not find it; the new number */

/* world.c: a system call that must be made on every kernel thread */
long world_call(long nr, long a1, long a2, long a3); /* the caller runs on a G */
long world_call_ahead(long nr, long a1, long a2, long a3);
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
void stack_after_vfork(void);
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
bool cputime_goes_on(struct g *g); /* it runs */
void cputime_look(struct m *m);	/* m is the calling M */
/* The ticks of it that m, the calling M, was on a CPU. */
uint64_t cputime_of_long(struct m *m, uint64_t ran, uint64_t if_unknown);
void cputime_filtered(void); /* the kernel is not to be asked any more */

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

#define CLOCK_READS 8
#define CLOCKS_TOGETHER 2000 /* ticks: the kernel took nothing away in between */

/* CLOCK_MONOTONIC and arch_cputicks() of the same moment, to find their ratio. Where the kernel takes the CPU away between the two
 * they do not belong together, and the younger the process the more wrong is the ratio: a CPU clock would go back. Then they
 * are read again. */
static inline void clocks_read(int64_t *ns, uint64_t *ticks)
{
	uint64_t before = arch_cputicks(), apart;
	*ns = os_nanotime();
	apart = arch_cputicks() - before;
	*ticks = before + apart / 2;
	for (int i = 1; i < CLOCK_READS && apart > CLOCKS_TOGETHER; i++) {
		before = arch_cputicks();
		int64_t now = os_nanotime();
		uint64_t took = arch_cputicks() - before;
		if (took >= apart)
			continue;
		apart = took;
		*ns = now;
		*ticks = before + took / 2;
	}
}

#define TICKS_LONG (1 << 20) /* some 0.4 ms: a run in which the kernel may have taken the CPU away from the M, see cputime.c */

/* What of a run on m, the calling M, counts as CPU time, in ticks. */
static inline uint64_t cputime_of_run(struct m *m, uint64_t ran)
{
	if (unlikely(ran > TICKS_LONG))
		return cputime_of_long(m, ran, ran);
	m->counted += ran;
	return ran;
}

/* Accounting around a run: CPU time of the G, in ticks of the time-stamp counter. One reading serves the G that leaves
 * and the one that comes, unless the M slept between them. */
static inline void g_off_cpu(struct m *m, struct g *g)
{
	uint64_t now = arch_cputicks();
	g->cputicks += cputime_of_run(m, now - g->run_start);
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

#define TICKS_UNPOLLED (1 << 19) /* some 0.2 ms */

/* Between two that hand off to each other, see find.c; m->ticks is not 0. */
static inline bool look_is_due(const struct m *m, const struct p *pp)
{
	return m->ticks - pp->look_ticks > TICKS_UNPOLLED;
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
