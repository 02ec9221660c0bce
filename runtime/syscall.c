/* syscall.c - real system calls that may block: how a P survives the absence of its M.
 *
 * entersyscall leaves the P lying there in state Psyscall. If the call is short, exitsyscall finds it so and takes it
 * back by CAS: two atomic operations in all. If it is long, sysmon has retaken the P (the same CAS) and handed it to
 * another M; then the G looks for an idle P, else queues itself globally and its M sleeps. A call that is expected to
 * be long gives its P away at once, unless too many M's are in such calls (bound.c).
 */
#include "prof.h"
#include "runtime.h"
#include "sig.h"
#include "tracebuf.h"

static struct p *enter(struct m *m, struct g *g, int nr)
{
	struct p *pp = m->p;
	g->syscall_nr = nr;
	if (inspecting(InspectBlock))
		g->wait_ticks = arch_cputicks();
	g_setstatus(g, Grunning, Gsyscall);
	/* At the beginning, so that sysmon tells a call from the one before it. */
	store_rlx(&pp->syscalltick, load_rlx(&pp->syscalltick) + 1);
	pp->m = NULL;
	store_rlx(&pp->callg, g);
	m->p = NULL;
	m->nsyscall++;
	return pp;
}

void entersyscall(int nr)
{
	struct m *m = getm();
	struct p *pp = enter(m, m->curg, nr);
	if (tracing())
		trace_enter(m->curg, pp, false);
	store_rlx(&m->oldp, pp);
	/* release: whoever retakes the P sees its queues */
	store_rel(&pp->status, Psyscall);
}

/* The caller has counted the M as blocked. */
static void enter_block(int nr)
{
	struct m *m = getm();
	struct g *g = m->curg;
	g_off_cpu(m, g);
	m->ticks = 0;
	g->run_start = 0;
	struct p *pp = enter(m, g, nr);
	if (tracing())
		trace_enter(g, pp, true);
	store_rlx(&m->oldp, NULL);
	store_rel(&pp->status, Pidle);
	handoffp(pp);
}

void entersyscall_block(int nr)
{
	atomic_fetch_add(&sched.nmblocked, 1);
	enter_block(nr);
}

static void exitsyscall_m(struct g *g)
{
	struct m *m = getm();
	struct p *pp = NULL;
	bool wired = g->lockedm; /* now: once it is queued, it may run elsewhere */
	if (tracing())
		trace_g(TraceLeave, g, LeaveQueued, 0);
	g_setstatus(g, Gsyscall, Grunnable);
	m->curg = NULL;
	lock(&sched.lock);
	pp = pidleget_locked();
	/* In the same section as the look at the idle P's: the last one to go idle then sees the G. */
	if (!pp) {
		g->ready_ticks = arch_cputicks();
		store_rlx(&g->preempt, 0); /* its P is gone */
		globrunq_put_locked(g);
		if (wired) /* who takes it there gives us his P */
			sched.nmlocked++;
	}
	unlock(&sched.lock);
	if (pp) {
		acquirep(pp);
		execute(g, false);
		return;
	}
	sysmon_no_p();
	if (unlikely(wired)) {
		wired_wait_for_p(g);
		return;
	}
	stopm();
	schedule();
}

/* pp, which g had, was taken away and lies there for another one's call now. It may be taken all the same; that one
 * shall know until when it had it. */
__attribute__((noinline)) static void note_others_loss(struct p *pp)
{
	struct g *other = load_rlx(&pp->callg);
	if (other)
		store_rlx(&other->retaken, arch_cputicks());
}

/* g gave its P away for the call, or that was taken: until then it was on a CPU. Of a long call the kernel knows how much it
 * worked. */
static void account_call(struct m *m, struct g *g)
{
	uint64_t from = g->run_start ? g->run_start : g->wait_ticks, whole = arch_cputicks() - from;
	uint64_t until = load_rlx(&g->retaken); /* written before the exchange that exitsyscall saw the result of */
	uint64_t ran = g->run_start && until > from ? until - from : 0;
	g->cputicks += whole > TICKS_LONG ? cputime_of_long(m, whole, ran) : cputime_of_run(m, ran);
	g->run_start = 0;
}

void exitsyscall(void)
{
	struct m *m = getm();
	struct g *g = m->curg;
	struct p *pp = load_rlx(&m->oldp);
	uint32_t s = Psyscall;
	store_rlx(&m->oldp, NULL);
	bool kept = pp && load_rlx(&pp->callg) == g;
	if (unlikely(pp && !kept))
		note_others_loss(pp);
	/* acquire: pairs with the release in entersyscall; fails if sysmon retook the P */
	if (likely(pp && atomic_compare_exchange_strong_explicit(&pp->status, &s, Prunning, memory_order_acq_rel,
								 memory_order_relaxed))) {
		m->p = pp;
		pp->m = m;
		if (tracing())
			trace_g(TraceLeave, g, LeaveKept, 0);
		g_setstatus(g, Gsyscall, Grunning);
		if (unlikely(!kept)) {
			account_call(m, g);
			g_on_cpu(m, g, pp);
		}
		return;
	}
	blocked_end();
	account_call(m, g);
	if (load_rlx(&sched.npidle)) {
		lock(&sched.lock);
		pp = pidleget_locked();
		unlock(&sched.lock);
		if (pp) {
			acquirep(pp);
			if (tracing())
				trace_g(TraceLeave, g, LeaveTook, 0);
			g_setstatus(g, Gsyscall, Grunning);
			g_on_cpu(m, g, pp);
			goto took_long;
		}
	}
	arch_mcall(exitsyscall_m);
took_long:
	if (inspecting(InspectBlock))
		prof_block_syscall(g);
}

static long held(struct g *g, long nr, const long args[6])
{
	entersyscall((int)nr);
	long r = arch_blocking_syscall(nr, args, &g->interrupt);
	exitsyscall();
	return r;
}

static long handed_off(struct g *g, long nr, const long args[6])
{
	enter_block((int)nr);
	long r = arch_blocking_syscall(nr, args, &g->interrupt);
	exitsyscall();
	return r;
}

#define INTERRUPTED (-4L)
#define NOT_MADE (-513L) /* by arch_blocking_syscall */

/* A signal that is not for this G ended it, or a look at signals that others take. */
static bool is_to_repeat(struct g *g, long r)
{
	return unlikely(r == INTERRUPTED || r == NOT_MADE) && !sig_deliverable(g);
}

static long repeat(struct g *g, long nr, const long args[6], bool is_long)
{
	long r;
	bool has_waited = false;
	do {
		if (load_rlx(&g->queuem)) {
			store_rlx(&g->queuem, 0);
			if (!bound_wait(g))
				return INTERRUPTED;
			g->queuedm = has_waited = is_long = true;
		}
		r = is_long && blocked_begin() ? handed_off(g, nr, args) : held(g, nr, args);
		g->queuedm = false;
	} while (is_to_repeat(g, r));
	if (has_waited) /* it went through: perhaps the next one does too */
		bound_next();
	return r;
}

long blocking_syscall(struct g *g, long nr, const long args[6])
{
	long r = held(g, nr, args);
	return is_to_repeat(g, r) ? repeat(g, nr, args, false) : r;
}

/* One with a time from now, which args have in *left, and none of those that queue: each time it is made it gets what is left. */
long blocking_syscall_until(struct g *g, long nr, const long args[6], int64_t left[2], int64_t deadline)
{
	long r;
	do {
		int64_t ns = deadline - os_nanotime();
		ns = ns < 0 ? 0 : ns;
		left[0] = ns / NSEC_PER_SEC;
		left[1] = ns % NSEC_PER_SEC;
		r = likely(blocked_begin()) ? handed_off(g, nr, args) : held(g, nr, args);
	} while (is_to_repeat(g, r));
	return r == NOT_MADE ? INTERRUPTED : r;
}

long blocking_syscall_long(struct g *g, long nr, const long args[6])
{
	long r = likely(blocked_begin()) ? handed_off(g, nr, args) : held(g, nr, args);
	if (is_to_repeat(g, r))
		r = repeat(g, nr, args, true);
	return unlikely(r == NOT_MADE) ? INTERRUPTED : r;
}
