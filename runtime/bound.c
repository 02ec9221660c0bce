/* bound.c - at the bound on kernel threads (maxthreads): blocking calls wait their turn.
 *
 * A call that blocks takes an M from those that run G's. So that each P keeps one, at most maxm - gomaxprocs M's may be in
 * such calls; past that a call is only tried: it keeps its P, as a short one does. Many calls that are expected to block
 * do not (an flock that unlocks, the write to a FIFO whose reader waits), and what others wait for is often just such a
 * call: it must not stand in the queue behind them. When sysmon finds that a tried call holds up its P, it ends it by a
 * signal; the G then waits in the queue, parked, until an M comes back, or an M and a P are to spare, or sysmon gives it
 * another try. So what only somebody further back in the queue would do is done in the end: at the bound things are slow.
 * Two calls that must be in the kernel together (both ends of a FIFO being opened) may never meet where there are but two M's.
 *
 * A call that must not be ended, since part of its work would be done or its timeout would begin anew, holds its M.
 *
 * The kernel may refuse a thread before that (RLIMIT_NPROC, a cgroup's pids.max). Then as many as there are is the bound for
 * a while, and as all of them may be in calls already, sysmon ends one of these if there is something else to do.
 * Rejected: queueing before the first try (a queued unlock would never come to pass), and failing, as Go does.
 */
#include "runtime.h"
#include <asm/unistd.h>

/* On the stack of a G that waits for an M. */
struct mwaiter {
	struct mwaiter *next, *prev;
	struct g *g;
	uint32_t seq;
	bool queued;
};

#define LOWERED (100 * NSEC_PER_MSEC) /* then the kernel is asked again */

static struct mwaiter *first, *last; /* sched.lock */
static _Atomic int64_t lowered; /* the kernel refused a thread, and is not to be asked again before then; 0: it did not */

static void enqueue_locked(struct mwaiter *w)
{
	w->next = NULL;
	w->prev = last;
	*(last ? &last->next : &first) = w;
	last = w;
	w->queued = true;
	atomic_fetch_add(&sched.nwaitm, 1); /* seq_cst: pairs with blocked_end */
}

static void dequeue_locked(struct mwaiter *w)
{
	*(w->prev ? &w->prev->next : &first) = w->next;
	*(w->next ? &w->next->prev : &last) = w->prev;
	w->queued = false;
	atomic_fetch_sub(&sched.nwaitm, 1);
}

static void set_bound(uint32_t maxm)
{
	uint32_t procs = (uint32_t)sched.nprocs;
	sched.maxm = maxm;
	sched.maxblocked = maxm > procs ? (int32_t)(maxm - procs) : 0;
}

void bound_init(void)
{
	set_bound(rt_opt.maxthreads);
	store_rlx(&lowered, 0);
}

/* With sched.lock: the kernel has refused a thread. */
void bound_lower_locked(void)
{
	set_bound(sched.nm);
	store_rlx(&lowered, os_nanotime() + LOWERED);
}

bool bound_is_lowered(void)
{
	return load_rlx(&lowered) != 0;
}

void bound_reset(void)
{
	first = last = NULL;
	store_rlx(&sched.nwaitm, 0);
	store_rlx(&sched.nmblocked, 0);
	bound_init();
}

void bound_warn(void)
{
	if (!atomic_exchange(&sched.maxm_warned, 1))
		rt_printf(2, "preloom: %u kernel threads are in use%s; blocking calls wait\n", sched.maxm,
			  bound_is_lowered() ? " and no more to be had" : " (PRELOOM=maxthreads)");
}

bool bound_reached(void)
{
	return atomic_load(&sched.nmblocked) + (int32_t)sched.nmlocked >= sched.maxblocked;
}

/* May one more M go into a blocking call without a P? It is counted then. */
bool blocked_begin(void)
{
	/* Who has waited goes first. */
	if (load_rlx(&sched.nwaitm) && !getg()->queuedm)
		return false;
	if (atomic_fetch_add(&sched.nmblocked, 1) + (int32_t)sched.nmlocked < sched.maxblocked)
		return true;
	atomic_fetch_sub(&sched.nmblocked, 1);
	return false;
}

/* One that waits may go on. */
void bound_next(void)
{
	if (likely(!load_rlx(&sched.nwaitm)))
		return;
	lock(&sched.lock);
	struct mwaiter *w = first;
	struct g *g = NULL;
	uint32_t seq = 0;
	if (w) {
		g = w->g;
		seq = w->seq;
		dequeue_locked(w);
	}
	unlock(&sched.lock);
	if (g)
		wake_g(g, seq, WakeReady);
}

/* With sched.lock, from an M that is going to sleep, besides which `ps` P's are idle: would it be of no use to anybody but a G
 * that waits? Then such a G gets another try. An M that watches deadlines and descriptors must remain, and a P for it: a call
 * that is tried is ended by sysmon, which takes a while. */
bool bound_spare_locked(int ps)
{
	return load_rlx(&sched.nwaitm) && ps > 0 && (sched.nmidle || load_acq(&sched.lastpoll) == 0);
}

/* An M came back from a call that was counted. */
void blocked_end(void)
{
	/* seq_cst: a G that queues looks again at the number after that */
	atomic_fetch_sub(&sched.nmblocked, 1);
	bound_next();
}

/* Parks until there may be an M. False: a signal came. */
bool bound_wait(struct g *g)
{
	struct mwaiter w = { .g = g };
	bound_warn();
	lock(&sched.lock);
	w.seq = wait_begin(g, WaitM);
	enqueue_locked(&w);
	unlock(&sched.lock);
	if (!bound_reached())
		wake_g(g, w.seq, WakeReady);
	enum wake how = wait_park(g);
	lock(&sched.lock);
	if (w.queued)
		dequeue_locked(&w);
	unlock(&sched.lock);
	return how != WakeSignal;
}

/* Calls that, when a signal ends them, are as if they had not been made. */
static bool leaves_no_trace(int nr)
{
	switch (nr) {
	case __NR_open:
	case __NR_openat:
	case __NR_openat2:
	case __NR_creat:
	case __NR_flock:
	case __NR_fcntl:
	case __NR_ioctl:
	case __NR_wait4:
	case __NR_waitid:
	case __NR_msgrcv:
	case __NR_msgsnd:
	case __NR_semop:
	case __NR_mq_timedreceive:
	case __NR_mq_timedsend:
	case __NR_read:
	case __NR_readv:
	case __NR_recvfrom:
	case __NR_recvmsg:
	case __NR_accept:
	case __NR_accept4:
	case __NR_futex:
	case __NR_futex_waitv:
		return true;
	default:
		return false;
	}
}

/* With sched.lock. m is to leave the call that it is in. */
static bool tell_to_end(struct m *m)
{
	struct g *g = m->curg;
	if (!g || load_acq(&g->status) != Gsyscall || !leaves_no_trace(g->syscall_nr))
		return false;
	store_rel(&g->queuem, 1);
	sig_kick(m);
	return true;
}

/* From sysmon: pp's M is in a call for long. True: no M is to be had for pp, so the call was told to end. */
bool bound_retake(struct p *pp)
{
	bool told = false;
	if (!bound_reached())
		return false;
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (load_acq(&m->oldp) == pp) {
			told = tell_to_end(m);
			break;
		}
	unlock(&sched.lock);
	return told;
}

/* With sched.lock: there is something to do, or to watch, for an idle P, and no M for it. */
static bool wants_m_locked(int64_t now)
{
	int64_t next = timers_next();
	if (!sched.pidle || sched.midle)
		return false;
	return load_rlx(&sched.runqsize) || p_has_signals(sched.pidle) || (load_acq(&sched.lastpoll) != 0 && ((next && next <= now) || netpoll_waiters()));
}

/* The kernel refused a thread: another try now and then, and if it still does, an M is freed for what else there is to do. */
static void tick_lowered(int64_t now)
{
	bool wants, again = now >= load_rlx(&lowered), told = false;
	lock(&sched.lock);
	wants = wants_m_locked(now);
	if (again)
		bound_init();
	unlock(&sched.lock);
	if (wants && again)
		startm(NULL, false);
	lock(&sched.lock);
	if (bound_is_lowered() && wants_m_locked(now))
		for (struct m *m = sched.allm; m && !told; m = m->alllink)
			told = tell_to_end(m);
	unlock(&sched.lock);
}

/* From sysmon, every few milliseconds: what some of them wait for may have come. */
void bound_tick(int64_t now)
{
	for (int i = 0; i < sched.nprocs; i++)
		bound_next();
	if (bound_is_lowered())
		tick_lowered(now);
}

/* From sysmon: the deadlines of idle P's are over. Where there is no M for these, and the others need not run dry soon, a P that
 * has one sees to them. */
void bound_pass_deadlines(int64_t now)
{
	struct p *to = NULL;
	lock(&sched.lock);
	bool none = !sched.midle && sched.nm >= sched.maxm;
	unlock(&sched.lock);
	for (int i = 0; none && !to && i < sched.nprocs; i++) {
		uint32_t s = load_acq(&allp[i].status);
		to = s == Prunning || s == Psyscall ? &allp[i] : NULL;
	}
	for (int i = 0; to && i < sched.nprocs; i++) {
		int64_t first = load_acq(&allp[i].timers.first);
		if (first && first <= now && load_acq(&allp[i].status) == Pidle)
			timers_move(&allp[i], to);
	}
}
