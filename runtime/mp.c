/* mp.c - P's and M's: idle lists, starting, stopping and waking M's, wired G's.
 *
 * An M without a P is idle (on sched.midle, asleep on its note), in a system call, or looking after a wired G. Whoever
 * starts an M hands it the P through m->nextp. An M that may be needed is counted in nmspinning before it is started, so
 * that several readiers start only one.
 */
#include "runtime.h"
#include "tracebuf.h"

/* --- P's --- */

void pidleput_locked(struct p *pp)
{
	check(pp->m == NULL);
	pp->link = sched.pidle;
	sched.pidle = pp;
	pp->idle_since = arch_cputicks();
	atomic_fetch_add(&sched.npidle, 1); /* seq_cst: pairs with the look at the queues that follows in findrunnable */
}

struct p *pidleget_locked(void)
{
	struct p *pp = sched.pidle;
	if (pp) {
		sched.pidle = pp->link;
		pp->link = NULL;
		p_idle_end(pp);
		if (atomic_fetch_sub(&sched.npidle, 1) == (uint32_t)sched.nprocs)
			sysmon_wake(); /* it may sleep for as long as all are idle */
	}
	return pp;
}

/* It leaves the idle list. */
void p_idle_end(struct p *pp)
{
	pp->idle_ticks += arch_cputicks() - pp->idle_since;
	pp->idle_since = 0;
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

static void sleep_until_p(struct m *m)
{
	m->ticks = 0; /* the next G does not begin when the last one left */
	if (tracing())
		trace_p(TraceAsleep, NULL, 0, 0);
	note_sleep(&m->park, -1);
	if (tracing())
		trace_p(TraceAwake, m->nextp, 0, 0);
	acquirep(m->nextp);
	m->nextp = NULL;
}

/* Stops this M until somebody hands it a P. */
void stopm(void)
{
	struct m *m = getm();
	check(m->p == NULL && !m->spinning);
	lock(&sched.lock);
	/* A P that found no M was left idle with its work in the global queue, just before we could be found. */
	bool work = load_rlx(&sched.runqsize) || (sched.pidle && p_has_signals(sched.pidle)) || bound_spare_locked((int)load_rlx(&sched.npidle) - 1);
	struct p *pp = work ? pidleget_locked() : NULL;
	if (!pp)
		mput_locked(m);
	unlock(&sched.lock);
	if (pp)
		acquirep(pp);
	else
		sleep_until_p(m);
}

/* A new kernel thread copies what its maker may have changed for a wired G: then sysmon, which nothing is changed on, makes
 * it. */
static int start_kernel_thread(struct m *m)
{
	struct m *self = getm();
	if (likely(!self || self->foreign || (!self->lockedg && !self->tainted)))
		return os_newm(m);
	m->schedlink = atomic_load(&sched.newm);
	while (!atomic_compare_exchange_weak(&sched.newm, &m->schedlink, m))
		;
	store_rel(&sched.sysmonwait, 0);
	sysmon_nudge();
	return 0;
}

/* There is no M for pp: its G's go where others find them, since nobody steals from an idle P. Who next comes back from a
 * system call or from the netpoller takes it. Releases sched.lock. */
static void pidleput_with_work_unlock(struct p *pp)
{
	struct g *g;
	bool inherit;
	while ((g = runq_get(pp, &inherit)))
		globrunq_put_locked(g);
	pidleput_locked(pp);
	unlock(&sched.lock);
	if (load_acq(&sched.lastpoll) == 0)
		netpoll_break();
}

/* There is no kernel thread to be had for m (NULL: not even memory for it), which was to run pp. Linux refuses one while another
 * thread's exec is under way (copy_fs, -EAGAIN), which is no shortage: nexecover was nover before. */
static void start_failed(struct m *m, struct p *pp, bool spinning, uint32_t nover)
{
	bool for_exec = m && load_acq(&sched.nexec) != nover;
	lock(&sched.lock);
	if (m)
		m_abandon_locked(m);
	if (!for_exec)
		bound_lower_locked();
	pidleput_with_work_unlock(pp);
	if (spinning)
		atomic_fetch_sub(&sched.nmspinning, 1);
	if (!for_exec)
		bound_warn();
}

/* Runs pp on a new M, which is counted. */
static void start_new(struct p *pp, bool spinning)
{
	struct m *m = m_new();
	uint32_t nover = load_acq(&sched.nexecover);
	if (m) {
		m->nextp = pp;
		m->spinning = spinning;
	}
	if (!m || start_kernel_thread(m) < 0)
		start_failed(m, pp, spinning, nover);
}

/* From sysmon, see start_kernel_thread. */
void start_new_ms(void)
{
	struct m *next, *m = load_rlx(&sched.newm) ? atomic_exchange(&sched.newm, NULL) : NULL;
	for (; m; m = next) {
		next = m->schedlink;
		m->schedlink = NULL;
		uint32_t nover = load_acq(&sched.nexecover);
		if (os_newm(m) < 0)
			start_failed(m, m->nextp, m->spinning, nover);
	}
}

/* Runs pp (NULL: any idle one) on an M; spinning: the caller has counted it in nmspinning. */
void startm(struct p *pp, bool spinning)
{
	lock(&sched.lock);
	if (!pp)
		pp = pidleget_locked();
	struct m *m = pp ? mget_locked() : NULL;
	if (pp && !m && sched.nm >= sched.maxm) {
		pidleput_with_work_unlock(pp);
		pp = NULL;
		bound_warn();
	} else {
		sched.nm += pp && !m;
		unlock(&sched.lock);
	}
	if (pp && !m) {
		start_new(pp, spinning);
		return;
	}
	if (!pp) {
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
	spin_woken();
	startm(NULL, true);
}

/* The M gave pp up for a system call or for good: give it to another M if there is anything to do. */
void handoffp(struct p *pp)
{
	pp->nhandoff++;
	if (tracing())
		trace_p(TraceHandoff, pp, 0, 0);
	if (!runq_empty(pp) || load_acq(&sched.runqsize) || p_has_signals(pp)) {
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
	if (load_rlx(&sched.runqsize) || p_has_signals(pp) || (sched.nmidle && bound_spare_locked((int)load_rlx(&sched.npidle)))) {
		unlock(&sched.lock);
		startm(pp, false);
		return;
	}
	/* The last running P goes idle and nobody polls: somebody must watch timers and descriptors. */
	if (load_rlx(&sched.npidle) == (uint32_t)sched.nprocs - 1 && load_acq(&sched.lastpoll) != 0) {
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
void stoplockedm(void)
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
	sleep_until_p(m);
}

/* g is wired to another M: give that M our P and stop. */
void startlockedm(struct g *g)
{
	struct m *other = g->lockedm;
	check(other != getm() && other->nextp == NULL);
	lock(&sched.lock);
	sched.nmlocked--;
	unlock(&sched.lock);
	other->inherit = getm()->inherit;
	other->nextp = releasep();
	note_wake(&other->park);
	stopm();
}

void wired_wait_for_p(struct g *g)
{
	sleep_until_p(getm());
	unlock_common(g);
	execute(g, false);
}

/* Where the kernel thread should not end with a G that changed it: another one, made for the G. False: there is none to be had. */
static bool wire_to_new_m(struct g *g)
{
	lock(&sched.lock);
	sched.nm++;
	unlock(&sched.lock);
	struct m *m = m_new();
	if (!m)
		return false;
	g->lockedm = m;
	m->lockedg = g;
	if (os_newm(m) >= 0)
		return true;
	g->lockedm = NULL;
	lock(&sched.lock);
	m_abandon_locked(m);
	unlock(&sched.lock);
	return false;
}

const char wired_no_new_privs[] = "no_new_privs";

/* child, which nobody knows yet, is to be confined as the calling G is: its kernel thread becomes a copy of this one. */
bool lock_child(struct g *child)
{
	struct g *g = getg();
	child->wired_why = g->wired_why;
	child->wired_since = os_nanotime();
	child->confined = true;
	store_rlx(&child->no_new_privs, load_rlx(&g->no_new_privs));
	return wire_to_new_m(child);
}

/* g runs now, or will on this M. What it is wired for may have become the same on all M's. */
void unlock_common(struct g *g)
{
	struct m *m = getm();
	if (g->lockedm != m || g->wired_why != wired_no_new_privs || !load_acq(&sched.no_new_privs))
		return;
	g->lockedm = NULL;
	m->lockedg = NULL;
	g->confined = false;
	sig_m_wired(m);
}

/* The calling G is about to make a process. Its end tells such a process, which may have asked for that (PR_SET_PDEATHSIG). */
void m_forks(void)
{
	struct m *m = getm();
	const struct g *g = m->curg;
	if (g->lockedm)
		return;
	m->forker = !m->forker || m->forker == g->goid ? g->goid : SEVERAL_FORKERS;
}

/* Shall m not end with g? The first kernel thread cannot, it would only sleep for good; the one that g gets is of use to others when g
 * has ended. Another may have made a process for a G that lives on. */
static bool is_no_place_for(const struct m *m, const struct g *g)
{
	return m == sched.firstm ? g != main_g : m->forker && m->forker != g->goid;
}

void lockosthread(const char *why)
{
	struct m *m = getm();
	struct g *g = m->curg;
	if (g->lockedm) {
		if (g->wired_why == wired_no_new_privs)
			g->wired_why = why;
		return;
	}
	sysmon_start(); /* start_kernel_thread needs one that nothing was changed on */
	g->wired_why = why;
	g->wired_since = os_nanotime();
	if (is_no_place_for(m, g) && wire_to_new_m(g)) {
		gosched();
		return;
	}
	g->lockedm = m;
	m->lockedg = g;
	sig_m_wired(m);
}
