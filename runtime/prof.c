/* prof.c - starting and stopping profiles.
 *
 * A profile is on while its bit in inspect_flags is set; the hooks test that and nothing else. Counters only grow: whoever
 * wants a span of time reads the tables twice and subtracts, so several may look at one profile. Started and stopped by
 * the options at activation, by tools through sysmon (control.c), and stopped at the end of the process.
 */
#include "prof.h"
#include "runtime.h"
#include <linux/errno.h>
#include <asm/errno.h>

#define CALIBRATE NSEC_PER_MSEC

static const struct {
	uint32_t dflt, min, max;
} rates[NProf] = {
	[ProfCpu] = { 100, 1, 10000 },
	[ProfBlock] = { 10000, 1, 1000000000 },
	[ProfMutex] = { 10000, 1, 1000000000 },
	[ProfThreads] = { 1, 1, 1 },
	[ProfWall] = { 100, 1, 1000 },
};

/* How fast the time-stamp counter goes, from the time since the start; if that is too short, it is waited for. */
static void calibrate(void)
{
	int64_t ns;
	uint64_t ticks;
	while (os_nanotime() - sched.start_ns < CALIBRATE)
		arch_pause();
	clocks_read(&ns, &ticks);
	ns -= sched.start_ns;
	ticks -= sched.start_ticks;
	prof.ticks_per_ms = ticks / (uint64_t)(ns / 1000) * 1000 + ticks % (uint64_t)(ns / 1000) * 1000 / (uint64_t)(ns / 1000);
	if (!prof.ticks_per_ms)
		prof.ticks_per_ms = 1;
}

long prof_start(enum prof_type t, uint32_t rate, int64_t until)
{
	struct prof_kind *k = &prof.kind[t];
	bool adapts = !rate;
	if (!rate)
		rate = rates[t].dflt;
	if (rate < rates[t].min || rate > rates[t].max)
		return -EINVAL;
	if (load_rlx(&k->running))
		return -EBUSY;
	if (!prof_tables(t))
		return -ENOMEM;
	calibrate();
	k->adapts = adapts;
	k->rate = rate;
	k->rate_ticks = (uint64_t)rate * prof.ticks_per_ms / NSEC_PER_MSEC;
	k->start_ns = os_nanotime();
	k->stop_ns = 0;
	k->until_ns = until;
	k->start_ticks = arch_cputicks();
	store_rlx(&k->running, 1);
	preloom_inspect.prof = (uintptr_t)&prof;
	/* seq_cst: an M that is being started sees the flag, or prof_tell_all sees the M */
	atomic_fetch_or(&inspect_flags, prof_flag(t));
	if (t == ProfCpu)
		prof_tell_all();
	if (t == ProfWall)
		sysmon_nudge();
	return 0;
}

static void end(enum prof_type t)
{
	if (t == ProfBlock)
		prof_block_finish();
	atomic_fetch_and(&inspect_flags, ~prof_flag(t));
	prof.kind[t].stop_ns = os_nanotime();
	store_rel(&prof.kind[t].running, 0);
}

long prof_stop(enum prof_type t)
{
	struct prof_kind *k = &prof.kind[t];
	if (!load_rlx(&k->running))
		return -ESRCH;
	end(t);
	if (t == ProfCpu)
		prof_tell_all();
	return 0;
}

/* The timers end with the process. */
void prof_finish(void)
{
	for (int t = 0; t < NProf; t++)
		if (load_rlx(&prof.kind[t].running))
			end(t);
}

void prof_work(int64_t now)
{
	for (int t = 0; unlikely(preloom_inspect.prof) && t < NProf; t++)
		if (prof.kind[t].until_ns && prof.kind[t].until_ns < now && load_rlx(&prof.kind[t].running))
			prof_stop(t);
	prof_wall_work();
}

/* The child's one thread has no timer, and the counts are the parent's. */
void prof_after_fork(struct m *self)
{
	for (int t = 0; t < NProf; t++) {
		struct prof_kind *k = &prof.kind[t];
		atomic_fetch_and(&inspect_flags, ~prof_flag(t));
		store_rlx(&k->running, 0);
		store_rlx(&k->bucket, NULL);
		store_rlx(&k->lost, 0);
		store_rlx(&k->nbuckets, 0);
	}
	self->prof_timer = 0;
	prof_wall_after_fork();
	prof_exit_after_fork();
	preloom_inspect.prof = 0;
}
