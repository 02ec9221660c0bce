/* proc.c - the scheduler: an M switches to its next G. Which one that is is in find.c, when M's start and stop in mp.c, when G's
 * become runnable in ready.c.
 */
#include "ahead.h"
#include "prof.h"
#include "tracebuf.h"

struct sched sched = { .lock = LOCK_INIT(RankSched) };
struct p allp[MAXPROCS];
bool one_p;
struct m m0;
struct g *main_g;
struct rt_options rt_opt = { .logfd = 2, .maxthreads = 10000, .deadlock = true };

uint32_t m_fastrand(struct m *m)
{
	/* xorshift64+, as small as it gets; quality does not matter here */
	uint32_t s1 = m->fastrand[0], s0 = m->fastrand[1];
	s1 ^= s1 << 17;
	s1 = s1 ^ s0 ^ s1 >> 7 ^ s0 >> 16;
	m->fastrand[0] = s0;
	m->fastrand[1] = s1;
	return s0 + s1;
}

static inline void become(struct m *m, struct p *pp, struct g *g)
{
	g->m = m;
	m->curg = g;
	g_setstatus(g, Grunnable, Grunning);
	store_rlx(&g->preempt, 0);
	pp->nswitch++;
}

void execute(struct g *g, bool inherit)
{
	struct m *m = getm();
	struct p *pp = m->p;
	become(m, pp, g);
	if (!inherit)
		store_rlx(&pp->schedtick, load_rlx(&pp->schedtick) + 1);
	if (tracing())
		trace_run(g);
	g_on_cpu(m, g, pp);
	if (!inherit)
		prefetch_ahead(pp);
	arch_gogo(g);
}

static void reset_spinning(struct m *m)
{
	m->spinning = false;
	atomic_fetch_sub(&sched.nmspinning, 1);
	/* A spinning M that found work: there may be more, and readiers relied on us. */
	wakep();
}

/* A G that this M may run. Apart from schedule, which must not have a local variable whose address is known elsewhere: it
 * ends in a jump. */
__attribute__((noinline)) static struct g *next_g(struct m *m)
{
	for (;;) {
		bool inherit;
		struct g *g = findrunnable(&inherit);
		if (m->spinning)
			reset_spinning(m);
		m->inherit = inherit;
		if (likely(!g->lockedm))
			return g;
		startlockedm(g);
	}
}

/* What findrunnable comes to in a hand-off: the G in runnext, if nothing is to be looked at before it and it needs nothing but
 * to be run. */
static inline struct g *handed_over(struct m *m, struct p *pp)
{
	struct g *g = load_rlx(&pp->runnext);
	if (unlikely(!g || load_rlx(&pp->timers.first) || load_rlx(&pp->outside) || load_rlx(&sched.runqsize) ||
		     m->spinning || g->lockedm || g->ready_ticks || g->lastp != pp || !m->ticks || look_is_due(m, pp) ||
		     tracing()))
		return NULL;
	return likely(runq_take_next(pp, g)) ? g : NULL;
}

static __attribute__((noinline)) void schedule_slowly(struct m *m)
{
	if (unlikely(m->lockedg)) {
		stoplockedm();
		struct g *wired = m->lockedg;
		unlock_common(wired);
		execute(wired, m->inherit); /* as startlockedm says */
		return;
	}
	if (unlikely(load_rlx(&m->p->stop)))
		stopp();
	struct g *g = next_g(m);
	execute(g, m->inherit);
}

void schedule(void)
{
	struct m *m = getm();
	struct p *pp = m->p;
	m->curg = NULL;
	struct g *g;
	if (unlikely(m->lockedg || load_rlx(&pp->stop) || !(g = handed_over(m, pp)))) {
		schedule_slowly(m);
		return;
	}
	become(m, pp, g);
	g_on_cpu_again(m, g);
	arch_gogo(g);
}

/* --- start --- */

/* First code of a new kernel thread, on its g0 stack. */
_Noreturn void m_start(struct m *m)
{
	os_thread_init(m);
	cputime_look(m);
	if (tracing())
		trace_p(TraceAwake, NULL, 0, 0);
	if (inspecting(InspectProf))
		prof_m_start(m);
	if (m->sysmon)
		sysmon();
	if (!m->lockedg) { /* a wired G brings its P: stoplockedm */
		acquirep(m->nextp);
		m->nextp = NULL;
	}
	schedule();
	throw("m_start: the scheduler came back");
}

/* Makes the calling thread, the only one, M 0 with P 0, running the main G. */
void sched_init(int gomaxprocs)
{
	clocks_read(&sched.start_ns, &sched.start_ticks);
	store_rlx(&sched.lastpoll, sched.start_ns);
	os_thread_init(&m0); /* first: locks in Debug builds look at the M */
	if (!m_init(&m0))
		throw("out of memory for the first kernel thread's stack");
	m0.procid = os_gettid();
	cputime_look(&m0);
	sched.main_cpu_ns = m0.cpu_ns;
	m0.lives = 1;
	sched.firstm = &m0;
	sched.nm = 1;
	procresize(gomaxprocs);
	bound_init();
	acquirep(&allp[0]);
	g_set_pid(os_getpid());
	struct g *g = g_new();
	g->tid = (uint32_t)os_getpid();
	g->fs = arch_get_fs();
	m0.fs = g->fs;
	g->m = &m0;
	m0.curg = g;
	main_g = g;
	g_setstatus(g, Gidle, Grunning);
	g_on_cpu(&m0, g, &allp[0]);
	store_rlx(&sched.ngs, 1);
	sched.active = true;
}
