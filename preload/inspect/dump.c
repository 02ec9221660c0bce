/* dump.c - `preloom dump PID`: a block per G, in the manner of Go's tracebacks.
 */
#include "command.h"
#include "snapshot.h"
#include <stdio.h>
#include <string.h>

static const char *state_name(const struct g *g)
{
	static const char *const names[] = { "idle", "runnable", "running", "system call", "waiting", "dead" };
	static const char *const reasons[NWaitReason] = {
		[WaitNone] = "waiting",		  [WaitFutex] = "futex wait",	  [WaitFutexPI] = "PI mutex wait",
		[WaitSleep] = "sleep",		  [WaitIORead] = "IO wait (read)", [WaitIOWrite] = "IO wait (write)",
		[WaitPoll] = "poll",		  [WaitEpoll] = "epoll wait",	  [WaitSignal] = "signal wait",
		[WaitJoin] = "join",		  [WaitPreempted] = "preempted",  [WaitChan] = "chan wait",
		[WaitM] = "waiting for a kernel thread",
	};
	uint32_t st = load_rlx(&g->status);
	if (st == Gwaiting)
		return g->waitreason < NWaitReason ? reasons[g->waitreason] : "waiting";
	return st <= Gdead ? names[st] : "?";
}

static void print_g(const struct snapshot *s, const struct g *g)
{
	int64_t minutes = snapshot_since(s, g) / (60 * NSEC_PER_SEC);
	printf("goroutine %lu [%s", (unsigned long)g->goid, state_name(g));
	if (minutes >= 1)
		printf(", %ld minutes", (long)minutes);
	printf("]:\n\tthread %u \"%.*s\"\n\n", g->tid, GNAME_LEN, g->name);
}

int cmd_dump(int argc, char **argv)
{
	struct snapshot s;
	if (argc != 2)
		return fail_usage("one process id is needed (preloom help dump)");
	struct target *t = target_open_arg("dump", argv[1]);
	if (!t)
		return 1;
	bool ok = snapshot_take(t, &s);
	if (!ok)
		fprintf(stderr, "preloom dump: process %d: it ended\n", (int)t->pid);
	for (size_t i = 0; ok && i < s.ng; i++)
		print_g(&s, &s.g[i].g);
	if (ok)
		snapshot_free(&s);
	target_close(t);
	return ok ? 0 : 1;
}
