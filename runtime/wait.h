/* wait.h - the wait record's layout and the steps of it that every wait takes, inline. How it works: see park.c.
 * Part of runtime.h.
 */
#ifndef PRELOOM_WAIT_H
#define PRELOOM_WAIT_H

#include "inspect.h"

#define WAIT_STATE_MASK 0xff
#define WAIT_HOW_SHIFT 8
#define WAIT_SEQ_SHIFT 32

enum claim { ClaimLost, ClaimEarly, ClaimParked };

static inline uint64_t wait_record(uint32_t seq, enum wake how, enum waitstate s)
{
	return (uint64_t)seq << WAIT_SEQ_SHIFT | (uint64_t)how << WAIT_HOW_SHIFT | s;
}

/* Opens the wait record; returns its number. */
static inline uint32_t wait_begin(struct g *g, enum waitreason why)
{
	uint32_t seq = (uint32_t)(load_rlx(&g->wait) >> WAIT_SEQ_SHIFT) + 1;
	g->waitreason = (uint8_t)why;
	/* release: what the waker must see of g (reason, address) is written before the number is handed out */
	store_rel(&g->wait, wait_record(seq, WakeNone, WaitPrepared));
	return seq;
}

static inline enum claim wait_claim(struct g *g, uint32_t seq, enum wake how)
{
	uint64_t old = load_acq(&g->wait);
	for (;;) {
		enum waitstate s = old & WAIT_STATE_MASK;
		if (unlikely((uint32_t)(old >> WAIT_SEQ_SHIFT) != seq || (s != WaitPrepared && s != WaitParked)))
			return ClaimLost;
		/* acq_rel: the woken G sees what the waker did, the waker owns the parked G's state */
		if (likely(atomic_compare_exchange_weak_explicit(&g->wait, &old, wait_record(seq, how, WaitClaimed),
								 memory_order_acq_rel, memory_order_acquire)))
			return s == WaitParked ? ClaimParked : ClaimEarly;
	}
}

/* With one P the record of a wait for a futex is changed by the P's holder alone, so that neither of its two changes in a
 * hand-off need be an exchange: wakers and timers have the P, and a signal that comes where it is not is left to whoever has
 * it (sig.c). Other waits are ended from the netpoller too, which has none. */
static inline bool wait_is_ours_alone(const struct g *g)
{
	return one_p && g->waitreason <= WaitFutexPI;
}

/* The same for a waiter of a futex: the caller has a P. */
static inline enum claim wait_claim_futex(struct g *g, uint32_t seq, enum wake how)
{
	if (!one_p)
		return wait_claim(g, seq, how);
	debug_check(getm()->p);
	uint64_t old = load_rlx(&g->wait);
	enum waitstate s = old & WAIT_STATE_MASK;
	if (unlikely((uint32_t)(old >> WAIT_SEQ_SHIFT) != seq || (s != WaitPrepared && s != WaitParked)))
		return ClaimLost;
	store_rlx(&g->wait, wait_record(seq, how, WaitClaimed));
	return s == WaitParked ? ClaimParked : ClaimEarly;
}

/* Prepared → Parked, on g0; old: the record. False: somebody has claimed it meanwhile. */
static inline bool wait_set_parked(struct g *g, uint64_t old)
{
	uint64_t parked = (old & ~(uint64_t)WAIT_STATE_MASK) | WaitParked;
	if (unlikely((old & WAIT_STATE_MASK) != WaitPrepared))
		return false;
	if (wait_is_ours_alone(g)) {
		store_rel(&g->wait, parked);
		return true;
	}
	/* release: whoever claims Parked may run the G's saved stack. seq_cst: see wait_park_m. */
	return atomic_compare_exchange_strong(&g->wait, &old, parked);
}

/* The record was claimed: how. */
static inline enum wake wait_end(struct g *g)
{
	uint64_t r = load_acq(&g->wait); /* acquire: pairs with the waker's claim */
	check((r & WAIT_STATE_MASK) == WaitClaimed);
	store_rlx(&g->wait, wait_record((uint32_t)(r >> WAIT_SEQ_SHIFT), WakeNone, WaitIdle));
	g->waitreason = WaitNone;
	return (enum wake)(r >> WAIT_HOW_SHIFT & 0xff);
}

void wait_park_m(struct g *g);
void prof_block(struct g *g);

/* What wait_park does. */
static inline enum wake wait_park_inline(struct g *g)
{
	if (likely((load_acq(&g->wait) & WAIT_STATE_MASK) == WaitPrepared)) {
		arch_mcall(wait_park_m);
		if (inspecting(InspectBlock))
			prof_block(g);
	}
	return wait_end(g);
}

#endif
