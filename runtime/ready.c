/* ready.c - making G's runnable, and giving the P away.
 *
 * When does a readied G wake another M? Waking a kernel thread costs 13-40 µs, a hand-off on one P under 0.1 µs. So a
 * G that is alone in runnext waits for its P where G's are readied all the time: mostly the readier parks right away. If
 * it does not, sysmon, which looks every 50 µs then, sees the same G in runnext twice and wakes an M for it. Where G's
 * are readied seldom, and when the ring holds more, ready() wakes an M itself.
 * Rejected: Go's rule (always wake if nobody spins): two G's that hand off to each other keep the second CPU busy
 * with a thief that finds nothing, and every hand-off then costs a cache miss.
 */
#include "runtime.h"
#include "tracebuf.h"

#define YIELDS_PER_CPU_YIELD 512
#define ALONE_PER_CPU_YIELD 64 /* cheap, and the program pauses between mostly */
#define TICKS_PER_CPU_YIELD (1 << 16) /* 20 to 30 µs */
#define TICKS_PER_LOOK (1 << 14) /* 5 to 8 µs */
#define TICKS_SPINNING (1 << 18) /* between two yields; more: it computes */

static __attribute__((noinline)) void wake_others(struct p *pp)
{
	if (load_rlx(&sched.npidle) == 0 || load_rlx(&sched.nmspinning) != 0)
		return;
	/* Alone in runnext: most likely the caller parks now. See the head of this file. */
	if (load_rlx(&pp->runqhead) == load_rlx(&pp->runqtail) && load_rlx(&sched.sysmonfast)) {
		pp->ndeferred++;
		return;
	}
	wakep();
}

/* From where there is no P that would come to it: so an idle one is taken with the queue, whoever else spins. wakep would
 * not do: that somebody is counted as spinning may mean no more than that an M found no P, and forgets it now. */
static void ready_globally(struct g *g)
{
	lock(&sched.lock);
	globrunq_put_locked(g);
	struct p *pp = pidleget_locked();
	unlock(&sched.lock);
	if (pp)
		startm(pp, false);
	else
		sysmon_no_p();
}

static inline void now_runnable(struct g *g)
{
	g_setstatus(g, Gwaiting, Grunnable);
	store_rlx(&g->preempt, 0); /* it may have been asked to give way when it parked */
}

static __attribute__((noinline)) void make_ready(struct g *g, bool next)
{
	struct m *m = getm();
	if (tracing())
		trace_ready(g);
	now_runnable(g);
	if (unlikely(!m || m->foreign || !m->p)) {
		g->ready_ticks = arch_cputicks();
		ready_globally(g);
		return;
	}
	count_ready(m->p, g);
	runq_put(m->p, g, next);
	wake_others(m->p);
}

/* Nothing but the usual is the case: a P (which no foreign M has), its runnext empty, nobody looks on, no latency is to be
 * measured. */
static inline bool is_plain(struct m *m)
{
	struct p *pp;
	return !tracing() && !rt_opt.chaos && m && (pp = m->p) && !load_rlx(&pp->runnext) && pp->nready + 1 < pp->sample_at;
}

/* The first half of a hand-off: what make_ready comes to then. */
void ready(struct g *g)
{
	struct m *m = getm();
	if (unlikely(!is_plain(m))) {
		make_ready(g, true);
		return;
	}
	struct p *pp = m->p;
	now_runnable(g);
	pp->nready++;
	store_rel(&pp->runnext, g);
	if (unlikely(load_rlx(&sched.npidle)))
		wake_others(pp);
}

void ready_last(struct g *g)
{
	make_ready(g, false);
}

/* Threads begin in the order in which they are made, as programs (unknowingly) rely on: the first is next, if nobody is, and the
 * others queue. */
void thread_launch(struct g *g)
{
	struct p *pp = getm()->p;
	count_ready(pp, g);
	runq_put(pp, g, runq_size(pp) == 0);
	wake_others(pp);
}

void ready_list(struct gqueue *q)
{
	struct m *m = getm();
	struct p *pp = m && !m->foreign ? m->p : NULL;
	struct g *g;
	uint32_t n = q->n;
	if (n == 0)
		return;
	if (!pp)
		lock(&sched.lock);
	while ((g = gqueue_pop(q))) {
		if (tracing())
			trace_ready(g);
		now_runnable(g);
		if (pp) {
			count_ready(pp, g);
			runq_put(pp, g, false);
		} else {
			g->ready_ticks = arch_cputicks();
			globrunq_put_locked(g);
		}
	}
	if (!pp)
		unlock(&sched.lock);
	/* seq_cst: the queue, then the look at who spins; a spinning M that stops does it the other way round */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < n && load_rlx(&sched.npidle) != 0; i++)
		if (pp)
			wakep();
		else /* as in ready_globally */
			startm(NULL, false);
}

static void gosched_m(struct g *g)
{
	g_off_cpu(getm(), g);
	g->ready_ticks = g->wait_ticks;
	if (tracing())
		trace_g(TraceYield, g, 0, 0);
	store_rlx(&g->preempt, 1); /* sysmon does not take it for one that was woken; until execute */
	g_setstatus(g, Grunning, Grunnable);
	lock(&sched.lock);
	getm()->p->gaveup = g;
	globrunq_put_locked(g);
	unlock(&sched.lock);
	schedule();
}

void gosched(void)
{
	arch_mcall(gosched_m);
}

/* Who yields again and again may wait for a G that another M runs, or for another process, and that one for the CPU that
 * this M has: so the kernel is told now and then. Not each time, because that costs many times what a switch costs, but
 * often enough that no more than some microseconds are spent on spinning, which may be a thousand pauses before each yield. */
static void yield_cpu(struct m *m, uint32_t times, uint64_t now)
{
	struct p *pp = m->p;
	uint64_t since = now - pp->yield_ticks;
	pp->yield_ticks = now;
	if (since < TICKS_SPINNING)
		pp->spun_ticks += since;
	if (likely(++pp->nyield % times != 0 && pp->spun_ticks < TICKS_PER_CPU_YIELD))
		return;
	pp->spun_ticks = 0;
	os_osyield();
	pp->yield_ticks = arch_cputicks();
	m->ticks = 0;
}

/* Or it may wait for one that waits for a descriptor, which nobody looks at while this P always has a G to run. */
static bool found_outside(struct p *pp, uint64_t now)
{
	struct gqueue q = { 0 };
	if (likely(!netpoll_waiters() || now - pp->looked_ticks < TICKS_PER_LOOK || load_acq(&sched.lastpoll) == 0))
		return false;
	pp->looked_ticks = now;
	netpoll(0, &q);
	bool found = q.n != 0;
	ready_list(&q);
	return found;
}

static void goyield_m(struct g *g)
{
	struct m *m = getm();
	g_off_cpu(m, g);
	if (!found_outside(m->p, g->wait_ticks))
		yield_cpu(m, YIELDS_PER_CPU_YIELD, g->wait_ticks);
	if (tracing())
		trace_g(TraceYield, g, 0, 0);
	g_setstatus(g, Grunning, Grunnable);
	runq_put(m->p, g, false);
	schedule();
}

void goyield(void)
{
	struct m *m = getm();
	/* Alone in the process: nothing to yield to. */
	if (runq_empty(m->p) && load_acq(&sched.runqsize) == 0 && load_rlx(&m->p->timers.first) == 0 &&
	    !netpoll_waiters() && !rt_opt.chaos) {
		yield_cpu(m, ALONE_PER_CPU_YIELD, arch_cputicks());
		return;
	}
	arch_mcall(goyield_m);
}
