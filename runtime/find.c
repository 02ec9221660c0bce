/* find.c - which G an M runs next.
 *
 * An M with a P looks for a G in this order: every 61st tick the global queue; its P's ring; the global queue; the netpoller
 * without blocking; other P's rings, timers and at last runnext (spinning). Where G's hand off to each other, that is where
 * runnext always has one, it looks every 0.2 ms whether others are to have a turn. An M that finds nothing gives its P up, looks
 * once more at every queue (a G may have been readied between the look and the giving up; the readier saw a spinning M and woke
 * nobody), and then one such M sleeps in the netpoller until the next timer, the others on their note.
 */
#include "ahead.h"
#include "runtime.h"
#include "tracebuf.h"

/* In ticks of 2 to 3 GHz: */
#define TICKS_LEAST (1 << 22)	 /* 1.4 to 2 ms */
#define TICKS_SLICE (6 * TICKS_LEAST)
#define TICKS_ROUND (6 * (uint64_t)TICKS_SLICE) /* in which all have a turn, if they are not too many */
#define HAND_OFFS 8 /* in a turn at least */

static struct g *steal_work(struct m *m, bool *inherit)
{
	struct p *pp = m->p;
	uint32_t n = (uint32_t)sched.nprocs;
	for (int round = 0; round < 4; round++) {
		bool last = round == 3;
		uint32_t start = m_fastrand(m) % n;
		for (uint32_t i = 0; i < n; i++) {
			struct p *victim = &allp[(start + i) % n];
			if (victim == pp)
				continue;
			if (last && load_rlx(&victim->timers.first)) {
				timers_run(victim, 0);
				struct g *g = runq_get(pp, inherit); /* expired timers readied G's to our queue */
				if (g)
					return g;
			}
			if (load_acq(&victim->status) == Pidle)
				continue;
			struct g *g = runq_steal(pp, victim, last);
			if (g) {
				*inherit = false;
				return g;
			}
		}
	}
	return NULL;
}

/* Nobody sleeps in the netpoller (polled_elsewhere), or a signal came where there was no P (sig.c). */
static void look_outside(struct p *pp)
{
	struct gqueue q = { 0 };
	uint32_t what = atomic_exchange(&pp->outside, 0); /* before the looks */
	if (what & LookSignals)
		sig_end_waits();
	if (!(what & LookNetwork))
		return;
	netpoll(0, &q);
	ready_list(&q);
}

static struct g *first_of(struct gqueue *q)
{
	struct g *g = gqueue_pop(q);
	if (!g)
		return NULL;
	if (tracing())
		trace_ready(g);
	g_setstatus(g, Gwaiting, Grunnable);
	ready_list(q);
	return g;
}

static struct g *poll_network(bool *inherit)
{
	struct gqueue q = { 0 };
	if (!netpoll_waiters() || load_acq(&sched.lastpoll) == 0)
		return NULL;
	netpoll(0, &q);
	*inherit = false;
	return first_of(&q);
}

static bool ring_is_empty(const struct p *pp)
{
	return load_rlx(&pp->runqhead) == load_rlx(&pp->runqtail);
}

/* G's that hand off to each other go on in one slice, so nobody else comes to this P, and whom sysmon would ask to give way has
 * handed off before. Their turn is over after 2 ms beside G's that were woken, if none but they ran: where the ring's G's run
 * between, as those of a pool do that each wake the same one when they are done, they keep nobody out. */
static bool keeps_out_woken(const struct m *m, struct p *pp)
{
	if (m->ticks - pp->chain_ticks < TICKS_LEAST)
		return false;
	if (!ring_is_empty(pp))
		return true;
	if (!load_rlx(&sched.runqsize))
		return false;
	lock(&sched.lock);
	bool woken = sched.runq.n != 0;
	unlock(&sched.lock);
	return woken;
}

/* Beside G's that compute it is 10 ms, less where many wait, since the last turn was over or the last G of the global queue was:
 * sleepers and the ring's G's do not end it. */
static bool keeps_out_computing(const struct m *m, const struct p *pp)
{
	uint64_t ran = m->ticks - pp->turn_ticks, n = load_rlx(&sched.runqsize), procs = (uint64_t)sched.nprocs;
	return n && (ran >= TICKS_SLICE || ran >= TICKS_ROUND * procs / (n + procs));
}

static void note_turn(const struct m *m, struct p *pp)
{
	uint32_t tick = load_rlx(&pp->schedtick);
	if (!pp->turn_ticks) {
		pp->turn_ticks = pp->chain_ticks = m->ticks;
		pp->turn_nswitch = pp->nswitch;
	} else if (pp->chain_tick != tick) {
		pp->chain_ticks = m->ticks;
	}
	pp->chain_tick = tick;
}

/* The first of those that used up a slice has waited for one, and so have the others. */
static bool computing_waited(void)
{
	const struct g *g = sched.usedup.head;
	int64_t now = (int64_t)arch_cputicks();
	return g && now - (int64_t)sched.usedup_ticks > TICKS_SLICE && now - (int64_t)g->ready_ticks > TICKS_SLICE;
}

/* Who would be next queues with those that used up a slice. So what is left in the ring was woken, and goes first, but not for
 * more than a slice. */
static struct g *end_turn(struct p *pp, struct g *next)
{
	struct g *g = NULL;
	bool inherit;
	if (!runq_take_next(pp, next))
		return NULL;
	pp->nturns++;
	pp->turn_ticks = 0;
	store_rlx(&next->preempt, 1); /* as in gosched_m */
	pp->gaveup = next;
	lock(&sched.lock);
	bool waited = computing_waited();
	globrunq_put_locked(next);
	if (ring_is_empty(pp))
		g = globrunq_get_locked(pp, 0);
	else if (waited)
		g = globrunq_get_locked(pp, 1); /* the ring may have no room for more */
	unlock(&sched.lock);
	if (load_rlx(&sched.npidle))
		wakep();
	return g ? g : runq_get(pp, &inherit);
}

/* Who would be next does not belong to a chain that kept the P: it stays so. */
static struct g *let_one_pass(struct p *pp)
{
	pp->nturns++;
	lock(&sched.lock);
	struct g *g = globrunq_get_locked(pp, 1);
	unlock(&sched.lock);
	return g;
}

static struct g *turn_over(struct m *m, struct p *pp, struct g *next)
{
	struct g *g;
	note_turn(m, pp);
	if (m->ticks - pp->turn_ticks < TICKS_LEAST || pp->nswitch - pp->turn_nswitch < HAND_OFFS)
		return NULL;
	if (keeps_out_woken(m, pp))
		g = end_turn(pp, next);
	else if (keeps_out_computing(m, pp))
		g = m->ticks - pp->chain_ticks < TICKS_LEAST ? let_one_pass(pp) : end_turn(pp, next);
	else
		return NULL;
	if (g && load_rlx(&g->preempt) && netpoll_waiters())
		sysmon_nudge(); /* it is to watch for events now */
	return g;
}

/* Somebody is about to be handed the P. Shall another have it, since a turn is over, or since an event came for who waited for it?
 * The ring's end would be no place for that one: it runs now. */
static __attribute__((noinline)) struct g *look_between(struct m *m, struct p *pp, bool *inherit)
{
	struct gqueue q = { 0 };
	struct g *next = load_rlx(&pp->runnext);
	pp->look_ticks = m->ticks;
	if (m->ticks - m->cpu_ticks > TICKS_LEAST)
		cputime_look(m);
	if (!next)
		return NULL;
	if (netpoll_waiters() && load_acq(&sched.lastpoll) != 0)
		netpoll(0, &q);
	struct g *g = turn_over(m, pp, next);
	*inherit = !g;
	if (g) {
		ready_list(&q);
		return g;
	}
	bool several = q.n > 1;
	g = first_of(&q);
	if (several && runq_take_next(pp, next))
		runq_put(pp, next, false);
	return g;
}

struct g *findrunnable_try(struct m *m, bool *inherit)
{
	struct p *pp = m->p;
	struct g *g;
	if (unlikely(!m->ticks)) /* it has the P from another M, perhaps amid hand-offs between G's that are wired */
		m->ticks = arch_cputicks();
	/* First: a sleeper whose time has come is not to be taken for one that hands off. */
	if (unlikely(look_is_due(m, pp)) && (g = look_between(m, pp, inherit)))
		return g;
	*inherit = false;
	if (unlikely(load_rlx(&pp->outside)))
		look_outside(pp);
	if (load_rlx(&pp->timers.first))
		timers_run(pp, 0);
	if (unlikely(load_acq(&sched.runqsize) && load_rlx(&pp->schedtick) % SCHED_TICK_GLOBAL == 0)) {
		lock(&sched.lock);
		g = globrunq_get_locked(pp, 1);
		unlock(&sched.lock);
		if (g)
			return g;
	}
	g = runq_get(pp, inherit);
	if (g)
		return g;
	if (load_acq(&sched.runqsize)) {
		lock(&sched.lock);
		g = globrunq_get_locked(pp, 0);
		unlock(&sched.lock);
		if (g)
			return g;
	}
	g = poll_network(inherit);
	if (g)
		return g;
	/* At most half as many spin as work. */
	if (m->spinning ||
	    2 * load_rlx(&sched.nmspinning) < (uint32_t)sched.nprocs - load_rlx(&sched.npidle)) {
		if (!m->spinning) {
			m->spinning = true;
			atomic_fetch_add(&sched.nmspinning, 1);
		}
		g = steal_work(m, inherit);
	}
	return g;
}

/* A second look after the P went idle; gets a P again if there is something. */
static bool work_appeared(void)
{
	struct p *pp = NULL;
	bool work = load_acq(&sched.runqsize) != 0;
	for (int i = 0; !work && i < sched.nprocs; i++)
		work = (load_acq(&allp[i].status) != Pidle && !runq_empty(&allp[i])) || p_has_signals(&allp[i]);
	if (!work)
		return false;
	lock(&sched.lock);
	pp = pidleget_locked();
	unlock(&sched.lock);
	if (!pp)
		return false;
	acquirep(pp);
	return true;
}

/* Sleeps in the netpoller until an event or the next timer. Returns a G, or NULL to look again (with a P) or stop. */
static struct g *block_in_netpoll(struct m *m)
{
	struct gqueue q = { 0 };
	/* The exchange comes before the look at the timers: timer_add does it the other way round. */
	int64_t next = timers_next();
	int64_t delay = -1;
	store_rel(&sched.polluntil, next);
	if (next) {
		delay = next - os_nanotime();
		if (delay < 0)
			delay = 0;
	} else if (!netpoll_waiters()) {
		lock(&sched.lock);
		sched.nmpolling = 1;
		checkdead_locked();
		unlock(&sched.lock);
	}
	netpoll(delay, &q);
	sched.nmpolling = 0;
	store_rel(&sched.polluntil, 0);
	store_rel(&sched.lastpoll, os_nanotime());
	lock(&sched.lock);
	struct p *pp = pidleget_locked();
	unlock(&sched.lock);
	if (!pp) {
		ready_list(&q);
		return NULL;
	}
	acquirep(pp);
	struct g *g = first_of(&q);
	if (!g) {
		m->spinning = true;
		atomic_fetch_add(&sched.nmspinning, 1);
	}
	return g;
}

/* Where G's on a busy P hand off to each other all the time, an M that slept in the netpoller would be woken, on another CPU,
 * by every write to a pipe or eventfd whose reader that P runs at once anyway. Nobody need sleep there: that P polls whenever
 * its queue is empty and when sysmon, every 50 µs, asks for it. The last P to go idle still sees to the netpoller: both count first and
 * look then. */
static bool polled_elsewhere(void)
{
	return load_rlx(&sched.sysmonfast) && atomic_load(&sched.npidle) < (uint32_t)sched.nprocs;
}

/* Something else that this M can do for those that run; then it looks again. */
static bool help_others(struct m *m)
{
	return unlikely(stack_ahead_wanted()) && m->spinning && spin_allowed() && !load_rlx(&m->p->stop) && stack_make_ahead();
}

/* The caller has a P, and sleeps without one until there is a G. *inherit: it goes on in the current time slice. */
struct g *findrunnable(bool *inherit)
{
	struct m *m = getm();
	bool spun = false;
	for (;;) {
		struct g *g = findrunnable_try(m, inherit);
		if (g)
			return g;
		m->ticks = 0;
		if (help_others(m)) {
			spun = false;
			continue;
		}
		if (!spun && spin_idly(m)) {
			spun = true;
			continue;
		}
		lock(&sched.lock);
		if (load_rlx(&sched.runqsize)) {
			g = globrunq_get_locked(m->p, 0);
			unlock(&sched.lock);
			return g;
		}
		if (unlikely(bound_spare_locked((int)load_rlx(&sched.npidle)))) {
			unlock(&sched.lock);
			bound_next();
			continue;
		}
		pidleput_locked(releasep());
		unlock(&sched.lock);
		if (m->spinning) {
			m->spinning = false;
			/* seq_cst: whoever readies a G after this look sees that nobody spins */
			atomic_fetch_sub(&sched.nmspinning, 1);
		}
		if (work_appeared()) {
			m->spinning = true;
			atomic_fetch_add(&sched.nmspinning, 1);
			continue;
		}
		spin_idle();
		if (polled_elsewhere() && load_acq(&sched.lastpoll) != 0) {
			stopm();
			continue;
		}
		if (atomic_exchange(&sched.lastpoll, 0) != 0) {
			g = block_in_netpoll(m);
			if (g) {
				*inherit = false;
				return g;
			}
			if (m->p)
				continue;
		} else {
			int64_t next = timers_next(), until = load_acq(&sched.polluntil);
			if (next && (until == 0 || until > next))
				netpoll_break();
		}
		stopm();
	}
}
