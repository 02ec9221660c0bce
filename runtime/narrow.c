/* narrow.c - one P where one is all that is used.
 *
 * Two threads that hand off to each other run on one P, because that is where the other's work is (ready.c); a second P is idle
 * all the time, but its being there makes every hand-off pay for what could only matter if it were not: locks of the futex
 * buckets, exchanges in the wait record and the run queues, the lock prefixes of libc (one_p, smplocks.c): half of its time.
 * So sysmon, which looks every 50 µs at such a program, takes away P's that were idle at nearly every look for a while,
 * in the way that a smaller GOMAXPROCS would (resize.c), and gives them back as soon as one look finds what an idle
 * one might have taken: a G that waits in the ring or in the global queue, one in runnext that was there at the look before,
 * and no switch since; or anything that needs somebody who watches: descriptors, a deadline that comes, a tool, a bound.
 *
 * Either change stops the program for a fifth of a millisecond (0.11 to 0.26 measured), and waits for the G that runs. One that
 * cannot be stopped for long, in a page fault from a slow disk, holds up those that become runnable meanwhile, as with GOMAXPROCS=1: the code that it
 * goes back to relies on there being one P. What was taken away in vain is left alone for twice as long each time.
 * GOMAXPROCS stays what it was for all who ask (sched.gomaxprocs); how many are in use is sched.nprocs.
 */
#include "control.h"
#include "narrow.h"
#include "netpoll.h"
#include "runtime.h"
#include "tracebuf.h"

#define AWHILE (10 * NSEC_PER_MSEC) /* as long as a slice */
#define AWHILE_MAX (NSEC_PER_SEC)
#define WORTH_IT (10 * NSEC_PER_MSEC)  /* for less a change was in vain */
#define NEAR (300 * NSEC_PER_USEC) /* a deadline: by then another M sleeps until it, as without all this */
#define NEARLY 50		       /* one look of so many may find another one busy */

static struct {
	int target;	 /* a change is under way to so many; else 0 */
	int64_t since;	 /* looks are counted from then on; or, while narrow, since when */
	uint32_t looks, busy;
	int64_t awhile;
	struct g *next; /* while narrow: what was in runnext at the last look */
	uint64_t nswitch;
} narrow = { .awhile = AWHILE };

static bool is_narrow(void)
{
	return sched.nprocs < sched.gomaxprocs;
}

static bool deadline_is_near(int64_t now)
{
	int64_t next = timers_next();
	return next && next - now < NEAR;
}

static bool needs_watching(int64_t now)
{
	return netpoll_waiters() || deadline_is_near(now) || control_pending() || bound_is_lowered() || rt_opt.chaos || tracing();
}

static void begin_counting(int64_t now)
{
	narrow.since = now;
	narrow.looks = narrow.busy = 0;
}

static bool change(int n, int64_t now)
{
	narrow.target = n;
	if (!procs_use_step(n, now))
		return false;
	narrow.target = 0;
	narrow.next = NULL;
	if (is_narrow())
		atomic_fetch_add_explicit(&sched.nnarrow, 1, memory_order_relaxed);
	if (!is_narrow() && now - narrow.since >= WORTH_IT)
		narrow.awhile = AWHILE;
	else if (!is_narrow() && narrow.awhile < AWHILE_MAX)
		narrow.awhile *= 2;
	begin_counting(now);
	return true;
}

/* Is there what another P could take? */
static bool others_are_needed(void)
{
	struct p *pp = &allp[0];
	struct g *next = load_acq(&pp->runnext);
	uint64_t nswitch = pp->nswitch;
	bool stuck = next && next == narrow.next && nswitch == narrow.nswitch;
	narrow.next = next;
	narrow.nswitch = nswitch;
	return stuck || load_acq(&pp->runqhead) != load_acq(&pp->runqtail) || load_acq(&sched.runqsize);
}

static bool others_are_idle(int64_t now)
{
	narrow.looks++;
	narrow.busy += load_rlx(&sched.npidle) != (uint32_t)sched.nprocs - 1;
	if (now - narrow.since < narrow.awhile)
		return false;
	bool idle = narrow.busy * NEARLY <= narrow.looks;
	begin_counting(now);
	return idle;
}

/* Often: G's are readied all the time and the P comes to them in microseconds. */
bool narrow_tick(bool often, int64_t now)
{
	if (narrow.target)
		return !change(narrow.target, now);
	if (is_narrow())
		return (!often || needs_watching(now) || others_are_needed()) && !change(sched.gomaxprocs, now);
	if (!often || !narrow.since || sched.gomaxprocs == 1 || needs_watching(now)) {
		begin_counting(now);
		return false;
	}
	return others_are_idle(now) && !change(1, now);
}

bool narrow_end(int64_t now)
{
	if (narrow.target && !change(narrow.target, now))
		return false;
	return !is_narrow() || change(sched.gomaxprocs, now);
}

void narrow_after_fork(void)
{
	narrow.target = 0;
	narrow.next = NULL;
	narrow.since = 0;
	narrow.looks = narrow.busy = 0;
}
