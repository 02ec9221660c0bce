/* preempt.c - taking the P away from a G that does not give it up.
 *
 * The signal handler calls preempt_park on the G's own stack: the G goes to the global queue and its signal frame
 * stays where it is until it runs again, on whatever M.
 */
#include "runtime.h"
#include "tracebuf.h"

int preempt_signal = 64;

void preempt_park(void)
{
	struct g *g = getg();
	store_rlx(&g->preempt, 0);
	if (tracing())
		trace_g(TracePreempt, g, 0, 0);
	gosched();
}
