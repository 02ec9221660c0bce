/* fork.c - the child of a fork has one G, the caller's M as its only kernel thread, and a fresh scheduler.
 *
 * Before the fork the locks of what must stay consistent are taken (signals, table of G's, stack pool, slabs); all the rest
 * - queues, futex buckets, timers, idle lists - is rebuilt in the child from nothing, since only the calling G lives there.
 * A vfork holds no lock, as it would until the child's exec: what its child finds in the middle of a change it leaves behind.
 */
#include "control.h"
#include "ending.h"
#include "circle.h"
#include "crash.h"
#include "futex.h"
#include "gs.h"
#include "lockcheck.h"
#include "narrow.h"
#include "prof.h"
#include "smplocks.h"
#include "tracebuf.h"

void fork_prepare(void)
{
	sig_fork_prepare();
	g_lock_for_fork();
	stack_lock();
	alloc_lock_for_fork();
}

static void unlock_own(void)
{
	alloc_unlock_for_fork();
	stack_unlock();
	g_unlock_for_fork();
}

void fork_parent(void)
{
	unlock_own();
	sig_fork_parent();
}

static void reset_p(struct p *pp)
{
	store_rlx(&pp->status, Pidle);
	pp->m = NULL;
	pp->link = NULL;
	store_rlx(&pp->runqhead, 0);
	store_rlx(&pp->runqtail, 0);
	store_rlx(&pp->runnext, NULL);
	store_rlx(&pp->timers.lock.v, 0);
	pp->timers.slot = NULL; /* another M may have been in the middle of growing it */
	pp->timers.len = pp->timers.cap = 0;
	store_rlx(&pp->timers.first, 0);
	pp->gfree = NULL;
	pp->ngfree = 0;
	pp->sysmon_waits = false;
	store_rlx(&pp->stop, false);
	store_rlx(&pp->outside, 0);
}

static void reset_sched(struct m *m)
{
	store_rlx(&sched.lock.v, 0);
	sched.runq = sched.usedup = (struct gqueue){ 0 };
	store_rlx(&sched.runqsize, 0);
	sched.pidle = NULL;
	store_rlx(&sched.npidle, 0);
	store_rlx(&sched.nmspinning, 0);
	sched.midle = NULL;
	sched.nmidle = sched.nmlocked = sched.nmpolling = 0;
	m_after_fork(m);
	bound_reset();
	store_rlx(&sched.lastpoll, os_nanotime());
	store_rlx(&sched.polluntil, 0);
	store_rlx(&sched.sysmonwait, 0);
	store_rlx(&sched.sysmonwatches, 0);
	store_rlx(&sched.sysmonfast, 0);
	sched.sysmon_started = false;
	store_rlx(&sched.newm, NULL);
	store_rlx(&sched.ngs, 1);
	store_rlx(&sched.nforeign, 0);
	store_rlx(&sched.nexec, 0);
	store_rlx(&sched.nexecover, 0);
}

/* On the G that forked, in the child, signals blocked. A vfork child comes here without the locks: its parent would
 * hold them until the exec. */
void fork_child(bool locked)
{
	struct m *m = getm();
	struct g *g = m->curg;
	m->procid = os_gettid();
	gs_after_fork(m); /* first: locks in Debug builds look for the M */
	trace_after_fork(m);
	prof_after_fork(m);
	if (locked) {
		unlock_own();
	} else {
		stack_after_vfork();
		alloc_after_vfork();
	}
	store_rlx(&g->status, Grunning); /* a vfork parent is in Gsyscall */
	cputime_look(m);
	sched.main_cpu_ns = 0;
	g->cputicks = 0;
	store_rlx(&g->cpu_told, 0);
	g->run_start = arch_cputicks();
	m->spinning = false;
	store_rlx(&m->kicked, 0);
	store_rlx(&m->oldp, NULL);
	m->nextp = NULL;
	/* What was changed on the forking kernel thread is now the whole process's, as its only one. */
	g->lockedm = NULL;
	m->lockedg = NULL;
	g->confined = false;
	if (load_rlx(&g->no_new_privs))
		store_rlx(&sched.no_new_privs, true);
	m->tainted = false;
	m->forker = 0;
	store_rlx(&m->park, 0);
	if (sched.nprocs > sched.gomaxprocs) /* the parent may have been in the middle of a change */
		sched.gomaxprocs = sched.nprocs;
	sched.nprocs = sched.gomaxprocs;
	narrow_after_fork();
	for (int i = 0; i < sched.nprocs; i++)
		reset_p(&allp[i]);
	reset_sched(m);
	one_p = sched.nprocs == 1;
	smplocks_after_fork();
	for (int i = sched.nprocs - 1; i > 0; i--)
		pidleput_locked(&allp[i]);
	struct p *pp = &allp[0];
	m->p = pp;
	pp->m = m;
	store_rel(&pp->status, Prunning);
	g_reinit_after_fork(g);
	futex_reset();
	store_rlx(&g->timer.pp, NULL);
	store_rlx(&g->fw.bucket, NULL);
	main_g = g;
	world_after_fork(m);
	control_after_fork();
	g->tid = (uint32_t)os_getpid();
	g->lastp = pp;
	netpoll_after_fork();
	sig_after_fork_child(g);
	ending_after_fork();
	robust_exec_after_fork();
	crash_after_fork();
	circle_after_fork();
	lockcheck_after_fork();
}
