/* resize.c - GOMAXPROCS while the program runs.
 *
 * More: the new P's are put on the idle list and an M is woken if there is work. Fewer: each P that is to go is marked,
 * and whoever has it gives it up: an idle one is taken from the list, one whose M is in a system call is retaken, and one
 * that runs a G is given up by its M in schedule(), after the G was preempted. A P that nobody has any more is dead: its
 * G's go to the global queue, its timers to P 0. When all are dead, GOMAXPROCS is lowered.
 *
 * The world is not stopped for that, as Go does it: P's that stay go on undisturbed, and a G that cannot be preempted
 * for a while (a page fault from a slow disk) delays the answer, not the program. So sysmon, which does this in steps, goes
 * on looking after the others meanwhile. Only between one P and several P 0 is stopped too, last and for a moment, because
 * its holder uses no locks while it is alone (one_p). Until all is done a dead P counts as one that is not idle; the
 * looks that this keeps from happening (deadlock, somebody to poll) are made up for at the end.
 */
#include "narrow.h"
#include "runtime.h"
#include "smplocks.h"
#include "tracebuf.h"

#define KICK_AGAIN NSEC_PER_MSEC

static void p_init(int id, int64_t now)
{
	struct p *pp = &allp[id];
	pp->id = id;
	store_rlx(&pp->status, Pidle);
	store_rlx(&pp->stop, false);
	pp->sysmon_waits = false;
	pp->sysmon_schedwhen = now;
	pp->timers.lock.rank = RankTimers;
}

/* With sched.lock, or alone. P's up to `old` exist. */
static void set_number_locked(int old, int n)
{
	for (int i = n - 1; i >= old; i--) {
		if (allp[i].idle_since)
			p_idle_end(&allp[i]);
		pidleput_locked(&allp[i]);
	}
	sched.nprocs = n;
	one_p = n == 1;
	smplocks_follow();
	if (tracing())
		trace_p(TraceProcs, NULL, (uint32_t)n, 0);
}

/* At activation: the caller takes P 0. */
void procresize(int n)
{
	for (int i = 0; i < n; i++)
		p_init(i, sched.start_ns);
	set_number_locked(1, n);
	sched.gomaxprocs = n;
}

static bool take_from_idle_list(struct p *pp)
{
	bool found = false;
	lock(&sched.lock);
	for (struct p **link = &sched.pidle; *link; link = &(*link)->link)
		if (*link == pp) {
			*link = pp->link;
			pp->link = NULL;
			p_idle_end(pp);
			atomic_fetch_sub(&sched.npidle, 1);
			store_rel(&pp->status, Pdead);
			found = true;
			break;
		}
	unlock(&sched.lock);
	return found;
}

/* True when nobody has pp any more. One that is on its way to an M is idle and not in the list: then not yet. */
static bool take(struct p *pp, bool kick)
{
	switch ((enum pstatus)load_acq(&pp->status)) {
	case Pdead:
		return true;
	case Pidle:
		return take_from_idle_list(pp);
	case Psyscall:
		/* At the bound on M's the call is ended instead, and the P given up when the G is back on it. */
		return !bound_retake(pp) && p_retake(pp, Pdead);
	case Prunning:
		if (kick)
			preempt_one(pp);
		return false;
	}
	throw("take: a P in no known state");
}

/* What a dead P leaves behind. */
static void empty(struct p *pp)
{
	struct gqueue q = { 0 };
	struct g *g;
	bool inherit;
	while ((g = runq_get(pp, &inherit)))
		gqueue_push(&q, g);
	timers_move(pp, &allp[0]);
	if (!q.n && !pp->gfree)
		return;
	lock(&sched.lock);
	globrunq_put_batch_locked(&q);
	while ((g = pp->gfree)) {
		pp->gfree = g->schedlink;
		g->schedlink = sched.gfree;
		sched.gfree = g;
		sched.ngfree++;
	}
	pp->ngfree = 0;
	unlock(&sched.lock);
	atomic_thread_fence(memory_order_seq_cst); /* as in make_ready */
	wakep();
}

/* True when P's from..to-1 are dead. */
static bool retire(int from, int to, bool kick)
{
	bool all = true;
	for (int i = from; i < to; i++)
		store_rel(&allp[i].stop, true);
	for (int i = from; i < to; i++)
		all &= take(&allp[i], kick);
	return all;
}

/* From sysmon, until it is true: changes how many P's are in use. */
bool procs_use_step(int n, int64_t now)
{
	static int64_t kicked; /* when P's that run were last asked to stop */
	int old = sched.nprocs;
	bool kick = now - kicked >= KICK_AGAIN, alone = (n == 1) != (old == 1);
	if (n == old)
		return true;
	if (kick)
		kicked = now;
	bool ready = retire(n, old, kick);
	for (int i = n; i < old; i++)
		if (load_acq(&allp[i].status) == Pdead)
			empty(&allp[i]);
	if (!ready || (alone && !retire(0, 1, kick)))
		return false;
	for (int i = n; i < old; i++)
		allp[i].idle_since = arch_cputicks(); /* for who looks how busy P's are */
	for (int i = old; i < n; i++)
		p_init(i, now);
	sig_lock(); /* who sends signals looks whether there is one P */
	lock(&sched.lock);
	set_number_locked(old, n);
	bound_init();
	unlock(&sched.lock);
	sig_unlock();
	if (alone) {
		sig_end_waits();
		store_rlx(&allp[0].stop, false);
		store_rel(&allp[0].status, Pidle);
		handoffp(&allp[0]);
	}
	lock(&sched.lock);
	checkdead_locked();
	unlock(&sched.lock);
	wakep(); /* finds work for new P's; takes over watching timers and descriptors */
	return true;
}

/* From sysmon, until it is true: GOMAXPROCS becomes n. */
bool procresize_step(int n, int64_t now)
{
	if (!narrow_end(now) || !procs_use_step(n, now))
		return false;
	sched.gomaxprocs = n;
	return true;
}

/* The M's P is to go: it is left to sysmon. Comes back with another one. */
void stopp(void)
{
	struct m *m = getm();
	while (load_rlx(&m->p->stop)) {
		if (m->spinning) {
			m->spinning = false;
			atomic_fetch_sub(&sched.nmspinning, 1);
		}
		struct p *pp = releasep();
		store_rel(&pp->status, Pdead); /* release: pairs with the acquire in take, pp's queues are as we left them */
		stopm();
	}
}
