/* retake.c - sysmon's look at each P: is its G's slice over, does that spin, does a system call hold the P up?
 *
 * A slice is 10 ms, if others wait; up to 30 ms where a few G's use up slice after slice. A G that was woken, or whose sleep is
 * over, need not wait for that but for 2 ms; and threads that spin for each other get 2.5 ms. Those that hand off to each other
 * see to their turns themselves (find.c): who runs at a look has handed off before it is asked. The P of an M in a system call is
 * taken away at the second look, 20 µs later at the earliest, or after 10 ms if nobody needs it. G's that wait in the queue of a P
 * whose running G goes on get another M (ready.c left that to us).
 */
#include "sysmonimpl.h"
#include "tracebuf.h"

#define IN_A_ROW 2 /* G's that used up their slices, so that it is known what runs here: the slices are of another length */
#define SHORT_SLICE (SLICE / 4) /* of what may be spinning: about the kernel's */
#define LONG_SLICE (3 * SLICE)	/* of what computes: a switch costs it up to 2 ms of filling the CPU's caches */
#define ROUND (6 * SLICE)	/* in which each that computes has its turn, if slices of 10 ms allow it */
#define FEW_SWITCHES 8 /* of a P since the last look: its G's compute, but for one or another that was woken */
#define LOOK_AFTER (100 * NSEC_PER_USEC) /* in a slice whether a G spins; then ever more seldom: a look is some 3 µs */
#define SPINNING_FOR (20 * NSEC_PER_MSEC) /* after one that did there will be more: then at each look, which are frequent */

static int64_t spinning_until;
static bool soon; /* a woken G is to have a P before the next look would come, or sysmon to watch for one that would be */
static uint32_t nasked; /* P's that in this look were asked to run one of the global queue's G's */

int64_t sysmon_spinning_until(void)
{
	return spinning_until;
}

/* Then looks are to come in time for its 2 ms, or for what waits for a descriptor beside who computes next. */
bool sysmon_woken_waits(void)
{
	return soon;
}

static bool timer_due(int64_t now)
{
	int64_t next = timers_next();
	return next && next <= now;
}

static bool others_wait(struct p *pp)
{
	return !runq_empty(pp) || load_acq(&sched.runqsize) > nasked || p_has_signals(pp);
}

/* Was a G woken that waits in the global queue, and for this P? */
static bool woken_globally(void)
{
	if (load_acq(&sched.runqsize) <= nasked)
		return false;
	lock(&sched.lock);
	bool woken = sched.runq.n > nasked;
	unlock(&sched.lock);
	return woken;
}

static struct g *ring_first(struct p *pp)
{
	uint32_t head = load_acq(&pp->runqhead);
	return head != load_acq(&pp->runqtail) ? load_rlx(&pp->runq[head % RUNQ_LEN]) : NULL;
}

/* Was the G that pp runs next woken, rather than that it used up a slice itself? Any G's memory may be looked at. */
static bool woken_waits(struct p *pp)
{
	struct g *g = load_acq(&pp->runnext);
	if (p_has_signals(pp))
		return true;
	if (!g)
		g = ring_first(pp);
	return g ? !load_rlx(&g->preempt) : woken_globally();
}

/* Several in a row have used up their slices. If the one that runs is found at one place all the time, they may be spinning for
 * what another is to do (redis' I/O threads do so). If not, they compute. */
static int64_t slice_in_a_row(struct p *pp)
{
	struct m *m = pp->m;
	struct g *g = m ? m->curg : NULL;
	if (g && preempt_stays(g))
		return SHORT_SLICE;
	int64_t share = ROUND * sched.nprocs / (load_rlx(&sched.runqsize) + sched.nprocs);
	return share < SLICE ? SLICE : share > LONG_SLICE ? LONG_SLICE : share;
}

/* Has the G on pp had its share? */
static bool slice_over(struct p *pp, int64_t now)
{
	int64_t ran = now - pp->sysmon_schedwhen, slice = pp->sysmon_inarow < IN_A_ROW ? SLICE : slice_in_a_row(pp);
	return (ran >= slice && others_wait(pp)) || (ran >= WAKE_SLICE && timer_due(now));
}

/* A G that computes gives way to one that waited and was woken long before its slice is over, as in Linux' scheduler: what
 * that one does is mostly short, and others wait for it (who writes what computing threads produce, who gives them more to
 * do). G's that hand off to each other are not meant: none of them runs for long. */
static bool must_give_way(struct p *pp, bool computes, int64_t now)
{
	if (!woken_waits(pp))
		return false;
	if (computes && now - pp->sysmon_runwhen >= WAKE_SLICE)
		return true;
	soon = true;
	return false;
}

/* Asks the G that runs on pp to give it away. One that is in a short system call, as one that makes many mostly is when we
 * look, does so when it comes back: no need to interrupt it. */
bool preempt_one(struct p *pp)
{
	bool incall = load_acq(&pp->status) == Psyscall;
	struct m *m = pp->m;
	struct g *g = incall ? load_rlx(&pp->callg) : m ? m->curg : NULL;
	if (!g)
		return false;
	store_rel(&g->preempt, 1);
	if (m)
		store_rlx(&m->look, 0);
	pp->npreempt++;
	if (tracing())
		trace_p(TraceAsk, pp, 0, 0);
	if (!incall)
		sig_kick(m);
	return true;
}

/* See preempt.c. */
static void look_whether_it_spins(struct p *pp, int64_t now)
{
	struct m *m = pp->m;
	if (pp->nspun != pp->sysmon_nspun) {
		pp->sysmon_nspun = pp->nspun;
		spinning_until = now + SPINNING_FOR;
	}
	if ((now < pp->sysmon_looknext && now >= spinning_until) || !m || load_acq(&pp->status) != Prunning || !others_wait(pp))
		return;
	pp->sysmon_looknext = now + (now - pp->sysmon_schedwhen);
	store_rel(&m->look, 1);
	sig_kick(m);
}

/* One after a slice that was used up began when we ended that. */
static void new_slice(struct p *pp, uint32_t tick, int64_t now)
{
	if (!pp->sysmon_preempted || tick - pp->sysmon_schedtick > 1) {
		pp->sysmon_inarow = 0;
		pp->sysmon_schedwhen = now;
	}
	pp->sysmon_preempted = false;
	pp->sysmon_schedtick = tick;
	pp->sysmon_looknext = now + LOOK_AFTER;
}

/* Asks it to give way; the next G runs from now on. */
static void ask(struct p *pp, int64_t now)
{
	nasked += runq_empty(pp);
	preempt_one(pp);
	pp->sysmon_runwhen = now;
	pp->sysmon_asked = true;
}

static bool look_running(struct p *pp, int64_t now)
{
	uint32_t tick = load_rlx(&pp->schedtick);
	bool acted = false;
	uint64_t nswitch = pp->nswitch, switches = nswitch - pp->sysmon_nswitch;
	bool waits = !runq_empty(pp);
	if (waits && pp->sysmon_waits && switches == 0 && load_rlx(&sched.npidle)) {
		wakep();
		acted = true;
	}
	uint64_t asked = pp->sysmon_asked;
	bool hand_off = switches > 1 + 2 * asked; /* who was asked gave way to another, and runs again perhaps */
	if (switches > asked || !pp->sysmon_runwhen)
		pp->sysmon_runwhen = now;
	if (switches)
		pp->sysmon_asked = false;
	pp->sysmon_waits = waits;
	pp->sysmon_nswitch = nswitch;
	if (pp->sysmon_schedtick != tick)
		new_slice(pp, tick, now);
	if (pp->nturns != pp->sysmon_nturns) {
		pp->sysmon_nturns = pp->nturns;
		soon |= netpoll_waiters(); /* it is to be known whether what runs now computes */
	}
	if (!hand_off && slice_over(pp, now)) {
		ask(pp, now);
		pp->sysmon_inarow += !pp->sysmon_preempted;
		pp->sysmon_preempted = true;
		pp->sysmon_schedwhen = now;
		pp->sysmon_looknext = now + LOOK_AFTER;
	} else if (switches <= FEW_SWITCHES && must_give_way(pp, !hand_off, now)) { /* or it hands off, all the time */
		ask(pp, now);
	} else {
		look_whether_it_spins(pp, now);
	}
	return acted;
}

/* Takes pp away from its M, which is in a system call. */
bool p_retake(struct p *pp, enum pstatus to)
{
	uint32_t s = Psyscall;
	struct g *g = load_rlx(&pp->callg);
	if (g)
		store_rlx(&g->retaken, arch_cputicks());
	atomic_fetch_add(&sched.nmblocked, 1); /* before: the M counts itself out when it finds its P gone */
	if (!atomic_compare_exchange_strong(&pp->status, &s, to)) {
		blocked_end();
		return false;
	}
	pp->nretake++;
	if (tracing())
		trace_p(TraceRetake, pp, 0, 0);
	store_rlx(&pp->syscalltick, load_rlx(&pp->syscalltick) + 1);
	return true;
}

static bool look_syscall(struct p *pp, int64_t now)
{
	uint32_t tick = load_rlx(&pp->syscalltick);
	if (pp->sysmon_syscalltick != tick) {
		pp->sysmon_syscalltick = tick;
		pp->sysmon_syscallwhen = now;
		return false;
	}
	if (pp->sysmon_syscallwhen + MIN_DELAY > now)
		return false;
	/* Nothing else to do, and somebody else could do it if there were: leave it, but not for ever. */
	if (runq_empty(pp) && load_rlx(&sched.nmspinning) + load_rlx(&sched.npidle) > 0 &&
	    pp->sysmon_syscallwhen + MAX_DELAY > now)
		return false;
	/* No M could take it over: the call may go on until somebody needs the P. */
	if (unlikely(bound_reached()) && !others_wait(pp) && !timer_due(now))
		return false;
	if (bound_retake(pp))
		return true;
	if (!p_retake(pp, Pidle))
		return false;
	handoffp(pp);
	return true;
}

/* One look at every P. True: there was something to do. */
bool sysmon_retake(int64_t now)
{
	bool acted = false;
	soon = false;
	nasked = 0;
	bool computing = true;
	for (int i = 0; i < sched.nprocs; i++) {
		struct p *pp = &allp[i];
		switch ((enum pstatus)load_acq(&pp->status)) {
		case Prunning:
			computing &= pp->nswitch - pp->sysmon_nswitch <= FEW_SWITCHES;
			acted |= look_running(pp, now);
			break;
		case Psyscall:
			computing &= pp->nswitch - pp->sysmon_nswitch <= FEW_SWITCHES;
			/* A G that comes back often enough still must not keep its P for ever. */
			look_running(pp, now);
			acted |= look_syscall(pp, now);
			break;
		default:
			computing = false;
			break;
		}
	}
	store_rlx(&sched.computing, computing);
	return acted;
}
