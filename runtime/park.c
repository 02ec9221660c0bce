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
 */
#include "prof.h"
#include "runtime.h"
#include "tracebuf.h"

#define STATE_MASK 0xff
#define HOW_SHIFT 8
#define SEQ_SHIFT 32

static inline uint64_t record(uint32_t seq, enum wake how, enum waitstate s)
{
	return (uint64_t)seq << SEQ_SHIFT | (uint64_t)how << HOW_SHIFT | s;
}

uint32_t wait_begin(struct g *g, enum waitreason why)
{
	uint32_t seq = (uint32_t)(load_rlx(&g->wait) >> SEQ_SHIFT) + 1;
	g->waitreason = (uint8_t)why;
	/* release: what the waker must see of g (reason, address) is written before the number is handed out */
	store_rel(&g->wait, record(seq, WakeNone, WaitPrepared));
	return seq;
}

enum claim wait_claim(struct g *g, uint32_t seq, enum wake how)
{
	uint64_t old = load_acq(&g->wait);
	for (;;) {
		enum waitstate s = old & STATE_MASK;
		if ((uint32_t)(old >> SEQ_SHIFT) != seq || (s != WaitPrepared && s != WaitParked))
			return ClaimLost;
		/* acq_rel: the woken G sees what the waker did, the waker owns the parked G's state */
		if (atomic_compare_exchange_weak_explicit(&g->wait, &old, record(seq, how, WaitClaimed),
							  memory_order_acq_rel, memory_order_acquire))
			return s == WaitParked ? ClaimParked : ClaimEarly;
	}
}

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

static enum wake wait_end(struct g *g)
{
	uint64_t r = load_acq(&g->wait); /* acquire: pairs with the waker's claim */
	check((r & STATE_MASK) == WaitClaimed);
	store_rlx(&g->wait, record((uint32_t)(r >> SEQ_SHIFT), WakeNone, WaitIdle));
	g->waitreason = WaitNone;
	return (enum wake)(r >> HOW_SHIFT & 0xff);
}

enum wake wait_cancel(struct g *g)
{
	uint32_t seq = (uint32_t)(load_rlx(&g->wait) >> SEQ_SHIFT);
	wait_claim(g, seq, WakeNone);
	return wait_end(g);
}

static void park_m(struct g *g)
{
	uint64_t old = load_acq(&g->wait);
	g_off_cpu(getm(), g);
	if (tracing())
		trace_park(g);
	g_setstatus(g, Grunning, Gwaiting);
	/* release: whoever claims Parked may run the G's saved stack */
	if ((old & STATE_MASK) == WaitPrepared &&
	    atomic_compare_exchange_strong(&g->wait, &old, (old & ~(uint64_t)STATE_MASK) | WaitParked)) {
		/* seq_cst, the exchange being a full fence: either we see the signal, or its sender sees Parked. From here
		 * on the G may be anybody's, unless we claim it ourselves. */
		if (likely(!load_acq(&g->interrupt)) ||
		    wait_claim(g, (uint32_t)(old >> SEQ_SHIFT), WakeSignal) != ClaimParked) {
			schedule();
			return;
		}
	}
	g_setstatus(g, Gwaiting, Grunnable);
	execute(g, true);
}

enum wake wait_park(struct g *g)
{
	if ((load_acq(&g->wait) & STATE_MASK) == WaitPrepared) {
		arch_mcall(park_m);
		if (inspecting(InspectBlock))
			prof_block(g);
	}
	return wait_end(g);
}
