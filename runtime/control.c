/* control.c - does what tools ask for; see control.h.
 *
 * A command is a function that sysmon calls until it returns something else than CONTROL_AGAIN: one that must wait for
 * others does a step at a time, because those others may need sysmon. A new command is a row in the table.
 *
 * The doorbell only wakes sysmon out of a long sleep; requests are found in the block. It is told from the program's own
 * use of the signal by the token, which is random and stands in the block, so that nobody who cannot write the process's
 * memory can send one, and one that comes late is still not taken for the program's.
 */
#include "control.h"
#include "inspect.h"
#include "prof.h"
#include "sigimpl.h"
#include "tracebuf.h"

#define CONTROL_AGAIN (-EAGAIN)

struct control control;
static int procs_before; /* the request under way */

static long set_gomaxprocs(struct control *c, int64_t now)
{
	if (c->arg[0] < 1 || c->arg[0] > MAXPROCS)
		return -EINVAL;
	if (!procs_before)
		procs_before = sched.gomaxprocs;
	if (!procresize_step((int)c->arg[0], now))
		return CONTROL_AGAIN;
	long ret = procs_before;
	procs_before = 0;
	return ret;
}

static long start_trace(struct control *c, int64_t now)
{
	(void)now;
	long r = trace_start((size_t)c->arg[0]);
	if (r == 0)
		sig_ending_changed();
	return r;
}

static long stop_trace(struct control *c, int64_t now)
{
	(void)c;
	(void)now;
	trace_stop();
	return 0;
}

static long release_trace(struct control *c, int64_t now)
{
	(void)c;
	(void)now;
	trace_release();
	sig_ending_changed();
	return 0;
}

static long profile_start(struct control *c, int64_t now)
{
	if (c->arg[0] < 0 || c->arg[0] >= NProf || c->arg[1] < 0 || c->arg[1] > UINT32_MAX)
		return -EINVAL;
	return prof_start((enum prof_type)c->arg[0], (uint32_t)c->arg[1], c->arg[2] > 0 ? now + c->arg[2] : 0);
}

static long profile_stop(struct control *c, int64_t now)
{
	(void)now;
	return c->arg[0] < 0 || c->arg[0] >= NProf ? -EINVAL : prof_stop((enum prof_type)c->arg[0]);
}

static long (*const commands[NControl])(struct control *c, int64_t now) = {
	[ControlGomaxprocs] = set_gomaxprocs,
	[ControlTraceStart] = start_trace,
	[ControlTraceStop] = stop_trace,
	[ControlTraceRelease] = release_trace,
	[ControlProfStart] = profile_start,
	[ControlProfStop] = profile_stop,
};

bool control_rings(const struct ksiginfo *info)
{
	uint64_t token = load_rlx(&control.token);
	if (info->code != CODE_QUEUE || !token || info->value != token)
		return false;
	sysmon_nudge();
	return true;
}

void control_begin(int tid)
{
	control.sysmon_tid = tid;
	atomic_thread_fence(memory_order_release); /* a tool that sees the address sees the id */
	preloom_inspect.control = (uintptr_t)&control;
}

bool control_work(int64_t now)
{
	uint32_t request = load_acq(&control.request); /* acquire: the tool wrote the number last */
	if (likely(request == load_rlx(&control.done)))
		return false;
	uint32_t command = control.command;
	long ret = command < NControl && commands[command] ? commands[command](&control, now) : -ENOSYS;
	if (ret == CONTROL_AGAIN)
		return true;
	control.result = ret;
	store_rel(&control.done, request); /* release: the result is there for whoever sees the number */
	return false;
}

/* What was asked of the parent is not asked of the child, which has no sysmon before it has a thread. */
void control_after_fork(void)
{
	store_rlx(&control.done, load_rlx(&control.request));
	preloom_inspect.control = 0;
	procs_before = 0;
}
