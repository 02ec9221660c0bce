/* park.c - the wait record: how a G sleeps and how exactly one waker ends it.
 *
 * A G opens its record (Prepared, with a new number), tells every possible waker (g, number) - a futex queue, a timer,
 * two descriptors - and parks. Parking switches to g0 first; only there, when nobody needs the G's stack any more,
 * the record goes from Prepared to Parked. A waker claims the record by CAS. If it finds Prepared, the G has not left
 * its stack: the claim stands and the G does not sleep at all. If it finds Parked, the waker owns the G now and makes
 * it runnable. A second waker, or one that kept an old number, finds nothing to claim.
 *
 * So no queue lock is held across the switch, which Go does (its park passes a lock to unlock on g0): a queue here
 * may hold a G that is not parked yet, which is harmless because claiming is what counts, not queueing.
 *
 * With one P a wait for a futex needs no CAS: see wait.h.
 */
#include "prof.h"
#include "runtime.h"
#include "tracebuf.h"

bool wake_g(struct g *g, uint32_t seq, enum wake how)
{
	switch (wait_claim(g, seq, how)) {
	case ClaimLost:
		return false;
	case ClaimParked:
		ready(g);
		return true;
	case ClaimEarly:
		return true;
	}
	throw("wake_g: unknown claim");
}

enum wake wait_cancel(struct g *g)
{
	uint32_t seq = (uint32_t)(load_rlx(&g->wait) >> WAIT_SEQ_SHIFT);
	wait_claim(g, seq, WakeNone);
	return wait_end(g);
}

static __attribute__((noinline)) void go_on(struct g *g)
{
	g_setstatus(g, Gwaiting, Grunnable);
	execute(g, true);
}

/* Parked, but a signal came before. From here on the G may be anybody's, unless we claim it ourselves. */
static __attribute__((noinline)) void wake_again(struct g *g, uint64_t old)
{
	if (wait_claim(g, (uint32_t)(old >> WAIT_SEQ_SHIFT), WakeSignal) == ClaimParked)
		go_on(g);
	else
		schedule();
}

static inline void park(struct g *g)
{
	uint64_t old = load_acq(&g->wait);
	g_setstatus(g, Grunning, Gwaiting);
	if (unlikely(!wait_set_parked(g, old)))
		go_on(g);
	/* The exchange being a full fence, either we see the signal, or its sender sees Parked. */
	else if (unlikely(load_acq(&g->interrupt)))
		wake_again(g, old);
	else
		schedule();
}

static __attribute__((noinline)) void trace_and_park(struct g *g)
{
	trace_park(g);
	park(g);
}

void wait_park_m(struct g *g)
{
	g_off_cpu(getm(), g);
	if (tracing())
		trace_and_park(g);
	else
		park(g);
}

enum wake wait_park(struct g *g)
{
	return wait_park_inline(g);
}
