/* trace.c - what the scheduler says of itself: schedtrace in Go's format, the list of G's, the deadlock report. */
#include "crash.h"
#include "ending.h"
#include "runtime.h"
#include "smplocks.h"

static const char *const reason_names[NWaitReason] = {
	[WaitNone] = "running",
	[WaitFutex] = "futex wait",
	[WaitFutexPI] = "PI mutex wait",
	[WaitSleep] = "sleep",
	[WaitIORead] = "IO wait (read)",
	[WaitIOWrite] = "IO wait (write)",
	[WaitPoll] = "poll",
	[WaitEpoll] = "epoll wait",
	[WaitSignal] = "signal wait",
	[WaitM] = "waiting for a kernel thread",
};

static const char *const status_names[] = { "idle", "runnable", "running", "syscall", "waiting", "dead" };

const char *waitreason_name(enum waitreason r)
{
	return r < NWaitReason && reason_names[r] ? reason_names[r] : "?";
}

static void print_g(int fd, struct g *g)
{
	enum gstatus s = load_acq(&g->status);
	enum waitreason r = g->waitreason;
	const char *what = s == Gwaiting ? waitreason_name(r) : status_names[s];
	char more[64] = "";
	if (s == Gwaiting && (r == WaitFutex || r == WaitFutexPI))
		rt_snprintf(more, sizeof(more), ", %p", (void *)g->wait_addr);
	else if (s == Gwaiting && (r == WaitIORead || r == WaitIOWrite))
		rt_snprintf(more, sizeof(more), ", fd %d", g->wait_fd);
	else if (s == Gsyscall)
		rt_snprintf(more, sizeof(more), ", number %d", g->syscall_nr);
	rt_printf(fd, "goroutine %lu [%s%s]: thread %u%s%s%s%s%s\n", (unsigned long)g->goid, what, more, g->tid,
		  g->name[0] ? " \"" : "", g->name, g->name[0] ? "\"" : "", g->lockedm ? ", wired: " : "",
		  g->lockedm && g->wired_why ? g->wired_why : "");
}

/* goid: this one only; 0: all. */
void dump_all(int fd, uint64_t goid)
{
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		if (g && load_acq(&g->status) != Gdead && load_acq(&g->status) != Gidle && (!goid || g->goid == goid))
			print_g(fd, g);
	}
}

static uint32_t count_ms(uint32_t *idle)
{
	*idle = sched.nmidle;
	return sched.nm + sched.sysmon_started;
}

static void trace_detail(int fd)
{
	for (int i = 0; i < sched.gomaxprocs; i++) {
		struct p *pp = &allp[i];
		struct m *m = pp->m;
		rt_printf(fd, "  P%d: status=%u schedtick=%u syscalltick=%u m=%d runqsize=%u gfreecnt=%u timerslen=%u"
			      " switches=%lu steals=%lu handoffs=%lu retakes=%lu preempts=%lu overflows=%lu\n",
			  i, i < sched.nprocs ? load_rlx(&pp->status) : Pidle, load_rlx(&pp->schedtick), load_rlx(&pp->syscalltick), m ? m->id : -1,
			  runq_size(pp), pp->ngfree, pp->timers.len, (unsigned long)pp->nswitch, (unsigned long)pp->nsteal,
			  (unsigned long)pp->nhandoff, (unsigned long)pp->nretake, (unsigned long)pp->npreempt,
			  (unsigned long)pp->noverflow);
	}
	for (struct m *m = sched.allm; m; m = m->alllink) {
		struct p *pp = m->p;
		struct g *g = m->curg, *lg = m->lockedg;
		rt_printf(fd, "  M%d: p=%d curg=%ld spinning=%s lockedg=%ld\n", m->id, pp ? pp->id : -1,
			  g ? (long)g->goid : -1L, m->spinning ? "true" : "false", lg ? (long)lg->goid : -1L);
	}
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		uint32_t s = g ? load_acq(&g->status) : Gdead;
		if (s == Gdead || s == Gidle)
			continue;
		rt_printf(fd, "  G%lu: status=%u(%s) m=%d lockedm=%d\n", (unsigned long)g->goid, s,
			  s == Gwaiting ? waitreason_name(g->waitreason) : "", s == Grunning && g->m ? g->m->id : -1,
			  g->lockedm ? g->lockedm->id : -1);
	}
}

void schedtrace(bool detail)
{
	char line[2048];
	uint32_t idle, n = count_ms(&idle);
	int len = rt_snprintf(line, sizeof(line),
			      "SCHED %ldms: gomaxprocs=%d idleprocs=%u threads=%u spinningthreads=%u idlethreads=%u runqueue=%u",
			      (long)((os_nanotime() - sched.start_ns) / NSEC_PER_MSEC), sched.gomaxprocs,
			      load_rlx(&sched.npidle) + (uint32_t)(sched.gomaxprocs - sched.nprocs), n, load_rlx(&sched.nmspinning), idle, load_rlx(&sched.runqsize));
	for (int i = 0; i < sched.gomaxprocs && !detail && len < (int)sizeof(line) - 16; i++)
		len += rt_snprintf(line + len, sizeof(line) - (size_t)len, "%s%u", i ? " " : " [", runq_size(&allp[i]));
	len += rt_snprintf(line + len, sizeof(line) - (size_t)len, detail ? "\n" : "]\n");
	os_write(rt_opt.logfd, line, (size_t)len);
	if (detail)
		trace_detail(rt_opt.logfd);
}

/* PRELOOM=stats=1, at the end of the process. */
void stats_print(void)
{
	struct p sum = { 0 };
	if (!rt_opt.stats)
		return;
	for (int i = 0; i < MAXPROCS && (i == 0 || allp[i].id); i++) { /* also those that GOMAXPROCS had once */
		const struct p *pp = &allp[i];
		sum.nswitch += pp->nswitch;
		sum.nready += pp->nready;
		sum.nglobal += pp->nglobal;
		sum.noverflow += pp->noverflow;
		sum.nsteal += pp->nsteal;
		sum.nstolen += pp->nstolen;
		sum.nwakep += pp->nwakep;
		sum.ndeferred += pp->ndeferred;
		sum.nspin += pp->nspin;
		sum.nmigrated += pp->nmigrated;
		sum.nhandoff += pp->nhandoff;
		sum.nretake += pp->nretake;
		sum.npreempt += pp->npreempt;
		sum.nspun += pp->nspun;
		sum.nfight += pp->nfight;
	}
	const char *kept;
	size_t out = smplocks_out(&kept);
	rt_printf(rt_opt.logfd,
		  "preloom: stats: gomaxprocs=%d threads=%lu kernel-threads=%lu switches=%lu migrations=%lu readied=%lu global=%lu overflows=%lu"
		  " steals=%lu stolen=%lu wakes=%lu deferred-wakes=%lu spins=%lu handoffs=%lu retakes=%lu preemptions=%lu spinners=%lu fights=%lu looks=%lu narrowed=%lu lock-prefixes-out=%lu%s%s\n",
		  sched.gomaxprocs, (unsigned long)load_rlx(&sched.goidgen),
		  (unsigned long)load_rlx(&sched.nmcreated) + 1 + sched.sysmon_started, (unsigned long)sum.nswitch, (unsigned long)sum.nmigrated,
		  (unsigned long)sum.nready, (unsigned long)sum.nglobal, (unsigned long)sum.noverflow,
		  (unsigned long)sum.nsteal, (unsigned long)sum.nstolen, (unsigned long)sum.nwakep,
		  (unsigned long)sum.ndeferred, (unsigned long)sum.nspin, (unsigned long)sum.nhandoff, (unsigned long)sum.nretake,
		  (unsigned long)sum.npreempt, (unsigned long)sum.nspun, (unsigned long)sum.nfight,
		  (unsigned long)load_rlx(&sched.nsysmontick), (unsigned long)load_rlx(&sched.nnarrow), (unsigned long)out,
		  kept ? " kept: " : "", kept ? kept : "");
}

static bool anything_can_wake(void)
{
	return timers_next() || netpoll_waiters() || load_acq(&sched.nforeign) || load_acq(&sched.nhandlers) ||
	       load_acq(&sched.runqsize) || load_acq(&sched.nwaitm);
}

/* Called with sched.lock held when an M is about to sleep: is anybody left who could wake a G? */
void checkdead_locked(void)
{
	uint32_t asleep = sched.nmidle + sched.nmlocked + sched.nmpolling;
	if (!rt_opt.deadlock || asleep < sched.nm || load_acq(&sched.ngs) == 0 || anything_can_wake())
		return;
	if (load_acq(&sched.npidle) != (uint32_t)sched.nprocs)
		return;
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		uint32_t s = g ? load_acq(&g->status) : Gdead;
		if (s == Grunnable || s == Grunning || s == Gsyscall || s == Gidle)
			return;
		if (s == Gwaiting && (g->waitreason == WaitSignal || g->waitreason == WaitIORead ||
						      g->waitreason == WaitIOWrite))
			return;
	}
	crash_deadlock();
	process_ending();
	if (rt_opt.traceback == TracebackCrash)
		os_abort();
	os_exit_process(2);
}
