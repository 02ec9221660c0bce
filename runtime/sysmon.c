/* sysmon.c - a kernel thread without a P that looks after the others.
 *
 * It has each P looked at for slices that are over and calls that hold it up (retake.c), polls the network if nobody did for
 * 10 ms, sees to deadlines that nobody watches, and does what is due at times: schedtrace, profiles, commands of `preloom`.
 * It looks every 20 µs while there was something to do, ever more seldom up to 10 ms when not, and sleeps while every P is
 * idle; between two looks in the netpoller while every P computes.
 */
#include "circle.h"
#include "control.h"
#include "lockcheck.h"
#include "lost.h"
#include "narrow.h"
#include "prof.h"
#include "runtime.h"
#include "sysmonimpl.h"

#define DEFER_DELAY (50 * NSEC_PER_USEC) /* while ready() leaves waking M's to sysmon, see ready.c */
#define PACE_WINDOW NSEC_PER_MSEC
#define OFTEN_PER_MSEC 2
#define SOON (10 * NSEC_PER_USEC) /* waking an M takes no less */
#define BUSY_DELAY (4 * NSEC_PER_MSEC) /* while every P is busy and G's wait */
#define LATE (2 * NSEC_PER_MSEC) /* what a look that is not for a deadline may be late */
#define WATCH_AFTER (2 * NSEC_PER_MSEC) /* without a poll of any P: then sysmon sleeps in the netpoller */
#define WATCH_FOR NSEC_PER_MSEC	 /* in a sleep that is worth it */
#define LEFT_ALONE (200 * NSEC_PER_USEC) /* then an idle P is worth an M to watch the descriptors */

static struct m sysmon_m;

/* Asks the P's that run to poll between two G's. False: one that was asked at the last look has not come to it. */
static bool ask_to_poll(void)
{
	bool came = true;
	for (int i = 0; i < sched.nprocs; i++) {
		struct p *pp = &allp[i];
		if (load_acq(&pp->status) != Prunning)
			continue;
		came &= !(atomic_fetch_or(&pp->outside, LookNetwork) & LookNetwork);
	}
	return came;
}

/* A P is idle, and nobody sleeps in the netpoller who would see to a deadline at `next`: the M that did went off with a G,
 * or none does (polled_elsewhere in find.c). */
static bool unwatched(int64_t next)
{
	int64_t until = load_acq(&sched.polluntil);
	return load_rlx(&sched.npidle) && (load_acq(&sched.lastpoll) != 0 || until == 0 || until > next);
}

static int64_t polled; /* when we did */

static void have_polled(int64_t last, int64_t now)
{
	polled = now;
	atomic_compare_exchange_strong(&sched.lastpoll, &last, now);
}

/* What nobody sleeps in the netpoller for is ours to see to: an M is woken for deadlines that come, and to take over the
 * netpoller after a while (unless polled_elsewhere). An M that polls itself finds what its G's wrote to each other done
 * with; from here it would look like news. */
static void poll_if_stale(bool often, int64_t now)
{
	bool idle = load_rlx(&sched.npidle), alone = often && idle;
	int64_t last = load_acq(&sched.lastpoll), next = timers_next();
	if (next && next <= now && unwatched(next)) {
		wakep();
		bound_pass_deadlines(now);
	}
	if (last == 0 || !netpoll_waiters())
		return;
	if (idle && !alone && last + LEFT_ALONE <= now)
		wakep();
	if (last + MAX_DELAY > now && (!alone || ask_to_poll()))
		return;
	have_polled(last, now);
	struct gqueue q = { 0 };
	netpoll(0, &q);
	ready_list(&q);
}

/* While each P computes nobody polls, and who waits for a descriptor would wait for the end of a slice: then sysmon sleeps in
 * the netpoller itself. Not where P's come to it between two G's, or have so many to run that they come to it late: an echo server
 * with 1,000 connections on one P answered 130,000 requests a second then instead of 195,000. */
static bool nobody_polls(int64_t now)
{
	int64_t last = load_acq(&sched.lastpoll);
	return load_rlx(&sched.npidle) == 0 && load_rlx(&sched.computing) && netpoll_waiters() && last != 0 &&
	       (last == polled || last + WATCH_AFTER <= now);
}

static void watch_network(int64_t delay)
{
	struct gqueue q = { 0 };
	bool broken = false;
	atomic_store(&sched.sysmonwatches, 1); /* seq_cst: then the note, see sysmon_nudge */
	if (!atomic_exchange(&sched.sysmonnote, 0))
		broken = netpoll(delay, &q);
	store_rel(&sched.sysmonwatches, 0);
	/* A P has become idle since; the break may have been for the M that sleeps there. */
	if (broken && load_acq(&sched.lastpoll) == 0)
		netpoll_break();
	if (!q.n)
		return;
	int64_t last = load_acq(&sched.lastpoll);
	if (last)
		have_polled(last, os_nanotime());
	ready_list(&q);
}

static uint64_t count_switches(void)
{
	uint64_t n = 0;
	for (int i = 0; i < sched.gomaxprocs; i++)
		n += allp[i].nswitch;
	return n;
}

/* A sleep of ns (< 0: for ever), but not beyond the next look for circles. */
static int64_t until_circle(int64_t ns, int64_t now)
{
	int64_t until = circle_next() > now + MAX_DELAY ? circle_next() - now : MAX_DELAY;
	return ns < 0 || ns > until ? until : ns;
}

/* All P's idle: nothing to watch until somebody acquires one, and who does wakes us (pidleget_locked). A process that
 * idles for a moment only shall not pay for that: the first sleep is a short one that nobody cuts short. Wakes by itself
 * for schedtrace, timers and the last looks for circles. */
static bool sleep_while_idle(int64_t now)
{
	static uint64_t seen;
	uint64_t n = count_switches();
	bool deep = n == seen && !load_rlx(&sched.nwaitm) && !bound_is_lowered() && !control_pending() && !stack_is_cooling();
	seen = n;
	lock(&sched.lock);
	bool idle = load_rlx(&sched.npidle) == (uint32_t)sched.nprocs;
	int64_t next = timers_next();
	/* Nobody watches: there is no M, see bound.c. The first to come may take another P. */
	if (idle && (deep || (next && unwatched(next))))
		store_rel(&sched.sysmonwait, 1);
	unlock(&sched.lock);
	if (!idle)
		return false;
	int64_t ns = deep ? -1 : MAX_DELAY;
	next = timers_next();
	if (next && deep)
		ns = next > now ? next - now + MAX_DELAY : MAX_DELAY;
	if (deep && !circle_settled(n))
		ns = until_circle(ns, now);
	if (deep && lost_look(now, true) && (ns < 0 || ns > LOST_AGAIN))
		ns = LOST_AGAIN;
	if (rt_opt.schedtrace && (ns < 0 || ns > rt_opt.schedtrace))
		ns = rt_opt.schedtrace;
	note_sleep(&sched.sysmonnote, ns);
	store_rel(&sched.sysmonwait, 0);
	return deep;
}

/* How often G's are readied while a P is idle, and how soon the P comes to them. If the first happens all the time and the
 * second is a matter of microseconds (two G's that hand off to each other), ready() leaves it to sysmon to wake an M where
 * that is worth it, and sysmon looks every DEFER_DELAY. */
struct pace {
	int64_t since;
	uint64_t wakes, switches;
	bool often;
};

static void pace_update(struct pace *p, int64_t now)
{
	uint64_t n = 0, switches = count_switches();
	int64_t window = now - p->since;
	if (window < PACE_WINDOW)
		return;
	for (int i = 0; i < sched.gomaxprocs; i++)
		n += allp[i].nwakep + allp[i].ndeferred;
	bool before = p->often;
	/* With one P in use nobody else is to be woken. */
	p->often = (sched.nprocs < sched.gomaxprocs || (int64_t)(n - p->wakes) * NSEC_PER_MSEC >= OFTEN_PER_MSEC * window) &&
		   (int64_t)(switches - p->switches) * SOON >= window;
	p->wakes = n;
	p->switches = switches;
	p->since = now;
	/* seq_cst: an M that stops spinning looks at this after it has said so; either it sees that it must poll, or we see
	 * it spin no more. */
	atomic_store(&sched.sysmonfast, p->often);
	/* Somebody shall sleep in the netpoller again. */
	if (before && !p->often && load_acq(&sched.lastpoll) != 0)
		wakep();
}

static bool anybody_waits(void)
{
	for (int i = 0; i < sched.nprocs; i++)
		if (!runq_empty(&allp[i]))
			return true;
	return load_acq(&sched.runqsize) != 0;
}

/* With every P busy, slices and sleeps end on time only if sysmon looks on time; so do sleeps that nobody watches. */
static int64_t latest_look(int64_t now)
{
	int64_t limit = MAX_DELAY, next = timers_next(), least = WAKE_SLICE / 2;
	if (load_rlx(&sched.npidle)) {
		if (!next || !unwatched(next))
			return limit;
		least = DEFER_DELAY;
	} else if (anybody_waits()) {
		limit = now < sysmon_spinning_until() ? DEFER_DELAY : sysmon_woken_waits() ? WAKE_SLICE / 2 : BUSY_DELAY;
	}
	if (next && next - now < limit)
		limit = next - now > least ? next - now : least;
	return limit;
}

static int64_t next_delay(int64_t delay, int idle, bool often, int64_t now)
{
	if (idle == 0)
		delay = MIN_DELAY;
	else if (idle > 50)
		delay *= 2;
	int64_t limit = often ? DEFER_DELAY : latest_look(now), cpu = load_rlx(&sched.cpulook);
	if (unlikely(cpu) && cpu - now < limit)
		limit = cpu - now > MIN_DELAY ? cpu - now : MIN_DELAY;
	return delay < limit ? delay : limit;
}

/* See bound.c. */
static void retry_calls(int64_t *last_try, int64_t now)
{
	if (likely(!load_rlx(&sched.nwaitm) && !bound_is_lowered()) || *last_try + MAX_DELAY > now)
		return;
	*last_try = now;
	bound_tick(now);
}

static void trace_if_due(int64_t *last, int64_t now)
{
	if (!rt_opt.schedtrace || *last + rt_opt.schedtrace > now)
		return;
	*last = now;
	schedtrace(rt_opt.scheddetail);
}

/* Preempts at random, and changes GOMAXPROCS all the time, up to twice what it was. */
static void chaos(int64_t now)
{
	static int first, target;
	if (m_fastrand(&sysmon_m) % 4 == 0)
		preempt_one(&allp[m_fastrand(&sysmon_m) % (uint32_t)sched.nprocs]);
	if (!first)
		first = target = sched.nprocs;
	if (procresize_step(target, now) && m_fastrand(&sysmon_m) % 64 == 0)
		target = 1 + (int)(m_fastrand(&sysmon_m) % (uint32_t)(2 * first));
}

/* A look of its own costs the thread that computes 15 to 20 µs here: an interrupt, the next one set up, two switches of kernel
 * threads. The kernel's tick, every 4 ms in Debian, interrupts it anyway: a look that may be late comes with that. Not with each:
 * another CPU balances its load in the same tick, found two kernel threads on this CPU time after time, and at last took the M,
 * so that its own M and that one shared a CPU and this one had none for 12 ms (`xz -T4` lost 1 to 2 % of its time so). Since the
 * next look is to come later than the next tick but sooner than the one after, every other look comes between two. */
static void may_be_late(bool yes)
{
	static bool may;
	if (yes == may)
		return;
	may = yes;
	os_timer_slack(yes ? LATE : 0);
}

static bool is_for_a_deadline(int64_t delay, int64_t now)
{
	int64_t next = timers_next(), cpu = load_rlx(&sched.cpulook), until = now + delay + LATE;
	return (next && next < until) || (cpu && cpu < until);
}

_Noreturn void sysmon(void)
{
	int64_t delay = MIN_DELAY, now = os_nanotime(), last_trace = now, last_try = now;
	struct pace pace = { .since = now };
	int idle = 0; /* looks in a row that found nothing to do */
	may_be_late(false); /* in the child of a fork */
	for (;;) {
		delay = next_delay(delay, idle, pace.often, now);
		may_be_late(delay >= BUSY_DELAY && !is_for_a_deadline(delay, now));
		if (unlikely(delay >= WATCH_FOR && nobody_polls(now)))
			watch_network(delay);
		else
			note_sleep(&sched.sysmonnote, delay);
		now = os_nanotime();
		atomic_fetch_add_explicit(&sched.nsysmontick, 1, memory_order_relaxed);
		if (load_rlx(&sched.npidle) == (uint32_t)sched.nprocs) {
			store_rel(&sched.sysmonfast, 0);
			if (narrow_end(now) && sleep_while_idle(now))
				delay = MIN_DELAY;
			now = os_nanotime();
			idle = 0;
		}
		if (unlikely(load_rlx(&sched.newm))) {
			may_be_late(false); /* they inherit it */
			start_new_ms();
		}
		bool acted = control_work(now);
		acted |= sysmon_retake(now);
		retry_calls(&last_try, now);
		lost_look(now, false);
		stack_tick(now);
		poll_if_stale(pace.often, now);
		sig_tick();
		if (unlikely(load_rlx(&sched.cpulook)) && load_rlx(&sched.cpulook) <= now)
			sig_cpu_timers();
		pace_update(&pace, now);
		acted |= narrow_tick(pace.often, now);
		idle = acted ? 0 : idle + 1;
		if (rt_opt.chaos)
			chaos(now);
		trace_if_due(&last_trace, now);
		if (rt_opt.lockcheck)
			lockcheck_tick();
		if (now >= circle_next())
			circle_tick(now);
		prof_work(now);
	}
}

/* Ends the sleep that it is in, or the next one. */
void sysmon_nudge(void)
{
	note_wake(&sched.sysmonnote);
	/* seq_cst: either it sees the note, or we see it watch */
	atomic_thread_fence(memory_order_seq_cst);
	if (unlikely(load_rlx(&sched.sysmonwatches)))
		netpoll_break();
}

/* A G was woken, or came back from a system call, and there is no P for it: those that compute shall not have theirs until
 * the next look. Once for each look. */
void sysmon_no_p(void)
{
	if (unlikely(load_rlx(&sched.computing)) && atomic_exchange(&sched.computing, 0))
		sysmon_nudge();
}

void sysmon_wake(void)
{
	uint32_t one = 1;
	if (load_rlx(&sched.sysmonwait) && atomic_compare_exchange_strong(&sched.sysmonwait, &one, 0))
		note_wake(&sched.sysmonnote);
}

/* Starts sysmon once; the caller runs on a G. False: there is no kernel thread to be had for it. */
bool sysmon_start(void)
{
	if (likely(sched.sysmon_started))
		return true;
	if (!m_init(&sysmon_m)) /* in the child of a fork: anew */
		return false;
	sysmon_m.sysmon = true;
	if (os_newm(&sysmon_m) < 0) {
		lock(&sched.lock);
		m_abandon_locked(&sysmon_m);
		unlock(&sched.lock);
		return false;
	}
	sched.sysmon_started = true;
	control_begin(sysmon_m.procid); /* now: it may not get a CPU for a while */
	return true;
}
