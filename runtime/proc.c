/* proc.c - the scheduler: which G an M runs next, and when M's start and stop.
 *
 * An M with a P looks for a G in this order: every 61st tick the global queue; its P's ring; the global queue; the
 * netpoller without blocking; other P's rings, timers and at last runnext (spinning). An M that finds nothing gives
 * its P up, looks once more at every queue (a G may have been readied between the look and the giving up; the
 * readier saw a spinning M and woke nobody), and then one such M sleeps in the netpoller until the next timer, the
 * others on their note.
 *
 * When does a readied G wake another M? Waking a kernel thread costs 13-40 µs, a hand-off on one P under 0.1 µs. So a
 * G that is alone in runnext waits for its P: mostly the readier parks right away. If it does not, sysmon, which looks
 * every 50 µs while G's are being readied, sees the same G in runnext twice and wakes an M for it. While sysmon
 * sleeps, and when the ring holds more, ready() wakes an M itself.
 * Rejected: Go's rule (always wake if nobody spins): two G's that hand off to each other keep the second CPU busy
 * with a thief that finds nothing, and every hand-off then costs a cache miss.
 */
#include "runtime.h"

struct sched sched = { .lock = LOCK_INIT(RankSched) };
struct p allp[MAXPROCS];
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

/* --- P's --- */

void pidleput_locked(struct p *pp)
{
	check(pp->m == NULL);
	pp->link = sched.pidle;
	sched.pidle = pp;
	atomic_fetch_add(&sched.npidle, 1); /* seq_cst: pairs with the look at the queues that follows in findrunnable */
}

struct p *pidleget_locked(void)
{
	struct p *pp = sched.pidle;
	if (pp) {
		sched.pidle = pp->link;
		pp->link = NULL;
		if (atomic_fetch_sub(&sched.npidle, 1) == (uint32_t)sched.gomaxprocs)
			sysmon_wake(); /* it may sleep for as long as all are idle */
	}
	return pp;
}

void acquirep(struct p *pp)
{
	struct m *m = getm();
	check(m->p == NULL && pp->m == NULL);
	m->p = pp;
	pp->m = m;
	store_rel(&pp->status, Prunning);
}

struct p *releasep(void)
{
	struct m *m = getm();
	struct p *pp = m->p;
	check(pp && pp->m == m && load_rlx(&pp->status) == Prunning);
	m->p = NULL;
	pp->m = NULL;
	store_rel(&pp->status, Pidle);
	return pp;
}

void procresize(int n)
{
	for (int i = 0; i < n; i++) {
		struct p *pp = &allp[i];
		pp->id = i;
		store_rlx(&pp->status, Pidle);
		pp->sysmon_schedwhen = sched.start_ns;
		pp->timers.lock.rank = RankTimers;
	}
	sched.gomaxprocs = n;
	for (int i = n - 1; i > 0; i--)
		pidleput_locked(&allp[i]);
}

/* --- M's: start, stop, wake --- */

static void mput_locked(struct m *m)
{
	m->schedlink = sched.midle;
	sched.midle = m;
	sched.nmidle++;
	checkdead_locked();
}

static struct m *mget_locked(void)
{
	struct m *m = sched.midle;
	if (m) {
		sched.midle = m->schedlink;
		sched.nmidle--;
	}
	return m;
}

/* Stops this M until somebody hands it a P. */
void stopm(void)
{
	struct m *m = getm();
	check(m->p == NULL && !m->spinning);
	lock(&sched.lock);
	mput_locked(m);
	unlock(&sched.lock);
	note_sleep(&m->park, -1);
	acquirep(m->nextp);
	m->nextp = NULL;
}

/* Runs pp (NULL: any idle one) on an M; spinning: the caller has counted it in nmspinning. */
void startm(struct p *pp, bool spinning)
{
	lock(&sched.lock);
	if (!pp)
		pp = pidleget_locked();
	struct m *m = pp ? mget_locked() : NULL;
	if (pp && !m && sched.nm >= sched.maxm) {
		bool warn = !sched.maxm_warned;
		sched.maxm_warned = true;
		pidleput_locked(pp);
		pp = NULL;
		unlock(&sched.lock);
		if (warn)
			rt_printf(2, "preloom: %u kernel threads are in use (PRELOOM=maxthreads); blocking calls wait\n",
				  sched.maxm);
		lock(&sched.lock);
	}
	unlock(&sched.lock);
	if (!pp) {
		if (spinning)
			atomic_fetch_sub(&sched.nmspinning, 1);
		return;
	}
	if (!m) {
		m = m_new();
		m->nextp = pp;
		m->spinning = spinning;
		int r = os_newm(m);
		if (r >= 0)
			return;
		/* No kernel thread to be had: whoever next returns from a system call takes the P. */
		m_abandon(m);
		lock(&sched.lock);
		pidleput_locked(pp);
		unlock(&sched.lock);
		if (spinning)
			atomic_fetch_sub(&sched.nmspinning, 1);
		return;
	}
	check(!m->spinning && m->nextp == NULL);
	m->spinning = spinning;
	m->nextp = pp;
	note_wake(&m->park);
}

void wakep(void)
{
	uint32_t zero = 0;
	if (load_rlx(&sched.npidle) == 0)
		return;
	/* One spinning M is enough: it wakes the next when it finds work. */
	if (load_rlx(&sched.nmspinning) != 0 || !atomic_compare_exchange_strong(&sched.nmspinning, &zero, 1))
		return;
	struct m *m = getm();
	if (m && m->p)
		m->p->nwakep++;
	startm(NULL, true);
}

/* The M gave pp up for a system call or for good: give it to another M if there is anything to do. */
void handoffp(struct p *pp)
{
	pp->nhandoff++;
	if (!runq_empty(pp) || load_acq(&sched.runqsize)) {
		startm(pp, false);
		return;
	}
	uint32_t zero = 0;
	if (load_acq(&sched.nmspinning) + load_acq(&sched.npidle) == 0 &&
	    atomic_compare_exchange_strong(&sched.nmspinning, &zero, 1)) {
		startm(pp, true);
		return;
	}
	lock(&sched.lock);
	if (sched.runq.n) {
		unlock(&sched.lock);
		startm(pp, false);
		return;
	}
	/* The last running P goes idle and nobody polls: somebody must watch timers and descriptors. */
	if (load_rlx(&sched.npidle) == (uint32_t)sched.gomaxprocs - 1 && load_acq(&sched.lastpoll) != 0) {
		unlock(&sched.lock);
		startm(pp, false);
		return;
	}
	int64_t when = load_acq(&pp->timers.first);
	pidleput_locked(pp);
	unlock(&sched.lock);
	if (when)
		timer_wake_poller(when);
}

/* --- wired G's --- */

/* This M's own G is not to be had now: sleep until startlockedm brings a P for it. */
static void stoplockedm(void)
{
	struct m *m = getm();
	if (m->p) {
		struct p *pp = releasep();
		handoffp(pp);
	}
	lock(&sched.lock);
	sched.nmlocked++;
	checkdead_locked();
	unlock(&sched.lock);
	note_sleep(&m->park, -1);
	acquirep(m->nextp);
	m->nextp = NULL;
}

/* g is wired to another M: give that M our P and stop. */
static void startlockedm(struct g *g)
{
	struct m *other = g->lockedm;
	check(other != getm() && other->nextp == NULL);
	lock(&sched.lock);
	sched.nmlocked--;
	unlock(&sched.lock);
	other->nextp = releasep();
	note_wake(&other->park);
	stopm();
}

void wired_wait_for_p(struct g *g)
{
	struct m *m = getm();
	lock(&sched.lock);
	sched.nmlocked++;
	globrunq_put_locked(g); /* who takes it there gives us his P */
	unlock(&sched.lock);
	note_sleep(&m->park, -1);
	acquirep(m->nextp);
	m->nextp = NULL;
	execute(g, false);
}

void lockosthread(const char *why)
{
	struct m *m = getm();
	struct g *g = m->curg;
	if (g->lockedm)
		return;
	g->lockedm = m;
	g->wired_why = why;
	g->wired_since = os_nanotime();
	m->lockedg = g;
}

/* --- ready --- */

static void wake_others(struct p *pp)
{
	if (load_rlx(&sched.npidle) == 0 || load_rlx(&sched.nmspinning) != 0)
		return;
	/* Alone in runnext: most likely the caller parks now. See the head of this file. */
	if (load_rlx(&pp->runqhead) == load_rlx(&pp->runqtail) && load_rlx(&sched.sysmonfast)) {
		pp->ndeferred++;
		return;
	}
	wakep();
	sysmon_wake();
}

static void make_ready(struct g *g, bool next)
{
	struct m *m = getm();
	g_setstatus(g, Gwaiting, Grunnable);
	if (unlikely(!m || m->foreign || !m->p)) {
		lock(&sched.lock);
		globrunq_put_locked(g);
		unlock(&sched.lock);
		atomic_fetch_add_explicit(&sched.nreadies, 1, memory_order_relaxed);
		wakep();
		return;
	}
	m->p->nready++;
	runq_put(m->p, g, next);
	wake_others(m->p);
}

void ready(struct g *g)
{
	make_ready(g, true);
}

void ready_last(struct g *g)
{
	make_ready(g, false);
}

void thread_launch(struct g *g)
{
	struct p *pp = getm()->p;
	pp->nready++;
	runq_put(pp, g, true);
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
		g_setstatus(g, Gwaiting, Grunnable);
		if (pp)
			runq_put(pp, g, false);
		else
			globrunq_put_locked(g);
	}
	if (!pp)
		unlock(&sched.lock);
	if (pp)
		pp->nready += n;
	for (uint32_t i = 0; i < n && load_rlx(&sched.npidle) != 0; i++)
		if (pp || i == 0)
			wakep();
		else
			startm(NULL, false);
}

static void gosched_m(struct g *g)
{
	g_off_cpu(getm(), g);
	g_setstatus(g, Grunning, Grunnable);
	lock(&sched.lock);
	globrunq_put_locked(g);
	unlock(&sched.lock);
	schedule();
}

void gosched(void)
{
	arch_mcall(gosched_m);
}

static void goyield_m(struct g *g)
{
	struct p *pp = getm()->p;
	g_off_cpu(getm(), g);
	g_setstatus(g, Grunning, Grunnable);
	runq_put(pp, g, false);
	schedule();
}

void goyield(void)
{
	struct m *m = getm();
	/* Alone in the process: nothing to yield to. */
	if (runq_empty(m->p) && load_acq(&sched.runqsize) == 0 && load_rlx(&m->p->timers.first) == 0 &&
	    !netpoll_waiters() && !rt_opt.chaos)
		return;
	arch_mcall(goyield_m);
}

/* --- finding work --- */

static struct g *steal_work(struct m *m, bool *inherit)
{
	struct p *pp = m->p;
	uint32_t n = (uint32_t)sched.gomaxprocs;
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

static struct g *poll_network(bool *inherit)
{
	struct gqueue q = { 0 };
	if (!netpoll_waiters() || load_acq(&sched.lastpoll) == 0)
		return NULL;
	netpoll(0, &q);
	struct g *g = gqueue_pop(&q);
	if (!g)
		return NULL;
	g_setstatus(g, Gwaiting, Grunnable);
	ready_list(&q);
	*inherit = false;
	return g;
}

struct g *findrunnable_try(struct m *m, bool *inherit)
{
	struct p *pp = m->p;
	struct g *g;
	*inherit = false;
	if (load_rlx(&pp->timers.first))
		timers_run(pp, 0);
	if (unlikely(load_rlx(&pp->schedtick) % SCHED_TICK_GLOBAL == 0 && load_acq(&sched.runqsize))) {
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
	    2 * load_rlx(&sched.nmspinning) < (uint32_t)sched.gomaxprocs - load_rlx(&sched.npidle)) {
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
	for (int i = 0; !work && i < sched.gomaxprocs; i++)
		work = load_acq(&allp[i].status) != Pidle && !runq_empty(&allp[i]);
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
	struct g *g = gqueue_pop(&q);
	if (g) {
		g_setstatus(g, Gwaiting, Grunnable);
		ready_list(&q);
	} else {
		m->spinning = true;
		atomic_fetch_add(&sched.nmspinning, 1);
	}
	return g;
}

static struct g *findrunnable(bool *inherit)
{
	struct m *m = getm();
	for (;;) {
		struct g *g = findrunnable_try(m, inherit);
		if (g)
			return g;
		m->ticks = 0;
		lock(&sched.lock);
		if (sched.runq.n) {
			g = globrunq_get_locked(m->p, 0);
			unlock(&sched.lock);
			return g;
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

void execute(struct g *g, bool inherit)
{
	struct m *m = getm();
	struct p *pp = m->p;
	g->m = m;
	m->curg = g;
	g_setstatus(g, Grunnable, Grunning);
	store_rlx(&g->preempt, 0);
	if (!inherit)
		store_rlx(&pp->schedtick, load_rlx(&pp->schedtick) + 1);
	pp->nswitch++;
	g_on_cpu(m, g, pp);
	arch_gogo(g);
}

static void reset_spinning(struct m *m)
{
	m->spinning = false;
	atomic_fetch_sub(&sched.nmspinning, 1);
	/* A spinning M that found work: there may be more, and readiers relied on us. */
	wakep();
}

void schedule(void)
{
	struct m *m = getm();
	m->curg = NULL;
	if (unlikely(m->lockedg)) {
		stoplockedm();
		execute(m->lockedg, false);
		return;
	}
	for (;;) {
		bool inherit;
		struct g *g = findrunnable(&inherit);
		if (m->spinning)
			reset_spinning(m);
		if (likely(!g->lockedm)) {
			execute(g, inherit);
			return;
		}
		startlockedm(g);
	}
}

/* --- start --- */

/* First code of a new kernel thread, on its g0 stack. */
_Noreturn void m_start(struct m *m)
{
	os_thread_init(m);
	if (m->sysmon)
		sysmon();
	acquirep(m->nextp);
	m->nextp = NULL;
	schedule();
	throw("m_start: the scheduler came back");
}

/* Makes the calling thread, the only one, M 0 with P 0, running the main G. */
void sched_init(int gomaxprocs)
{
	sched.start_ns = os_nanotime();
	sched.start_ticks = arch_cputicks();
	store_rlx(&sched.lastpoll, sched.start_ns);
	sched.maxm = rt_opt.maxthreads;
	os_thread_init(&m0); /* first: locks in Debug builds look at the M */
	m_init(&m0);
	m0.procid = os_gettid();
	sched.nm = 1;
	procresize(gomaxprocs);
	acquirep(&allp[0]);
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
