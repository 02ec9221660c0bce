/* preempt.c - taking the P away from a G that does not give it up.
 *
 * The signal handler calls preempt_park on the G's own stack: the G goes to the global queue and its signal frame
 * stays where it is until it runs again, on whatever M.
 *
 * A G may spin for what only another G can do that waits for this very P: natively each of the two has a CPU, or the program
 * knows that there are too few (OpenMP counts CPUs, not P's). Such loops have a `pause` in them, as processors' manuals ask
 * for. So while others wait, sysmon has the handler look what a G is at, a few times in its slice, and one that is at a `pause`
 * gives its P away at once.
 *
 * A loop without one is short all the same, and so is what it calls (the clock, for a limit): a G that look after look finds at
 * one of three places may be spinning, and gets short slices (retake.c). Not any G that uses up its slice: to fill a CPU's
 * caches anew after each switch costs xz -T4 2 ms.
 */
#include "runtime.h"
#include "tracebuf.h"

#define NEAR 256 /* bytes: a loop */
#define STAYS 4	 /* looks in a row at known places */

int preempt_signal = 64;

void preempt_note_place(struct g *g, uintptr_t ip)
{
	bool known = false;
	for (int i = 0; i < NPLACES; i++)
		known |= ip - g->places[i] + NEAR < 2 * NEAR;
	store_rlx(&g->stays, known ? load_rlx(&g->stays) + 1 : 0);
	if (!known)
		g->places[g->nplaces++ % NPLACES] = ip;
}

bool preempt_stays(const struct g *g)
{
	return load_rlx(&g->stays) >= STAYS;
}

void preempt_park(void)
{
	struct g *g = getg();
	store_rlx(&g->preempt, 0);
	if (tracing())
		trace_g(TracePreempt, g, 0, 0);
	gosched();
}
