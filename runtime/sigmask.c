/* sigmask.c - a G's virtual mask, and waiting until a signal gets through it.
 *
 * A mask is written by its own G, without a lock. Either the sender of a signal sees the new mask, or the G sees the new
 * pending bit: both store first and then load, with a full fence between.
 */
#include "sigimpl.h"

/* --- masks --- */

uint64_t sig_setmask(struct g *g, uint64_t mask)
{
	uint64_t old = load_rlx(&g->sig.mask);
	mask &= ~SIG_UNBLOCKABLE;
	if (mask == old)
		return old;
	/* seq_cst: pairs with sigq_add */
	atomic_exchange(&g->sig.mask, mask);
	if (unlikely(old & ~mask & sig_kept()))
		sig_unkeep(old & ~mask);
	uint64_t pending = sig_pending_set(g);
	if (likely(!pending))
		return old;
	if (pending & ~mask)
		atomic_fetch_or(&g->interrupt, IntrSignal);
	/* If this G may be the one that was chosen. A hint that comes later is passed on at the end of the shim. */
	if (pending & mask & ~old && load_acq(&g->interrupt) & IntrSignal)
		sig_retarget(mask & ~old);
	return old;
}

void sig_swap_mask(struct g *g, uint64_t mask)
{
	sig_note_blocked(mask & ~load_rlx(&g->sig.mask));
	g->sig.saved = load_rlx(&g->sig.mask);
	g->sig.saved_set = true;
	sig_setmask(g, mask);
}

void sig_restore_mask(struct g *g)
{
	if (!g->sig.saved_set)
		return;
	g->sig.saved_set = false;
	sig_setmask(g, g->sig.saved);
}

/* --- waiting --- */

/* Clears a hint that came to nothing. */
bool sig_deliverable(struct g *g)
{
	if (load_acq(&g->interrupt) & IntrInbox) /* before it is emptied: what comes after that shall not be overlooked */
		atomic_fetch_and(&g->interrupt, ~(uint32_t)IntrInbox);
	sig_drain();
	if (likely(!load_acq(&g->interrupt)) && !(sig_pending_set(g) & ~load_rlx(&g->sig.mask)))
		return false;
	lock(&siglock);
	bool yes = (sig_pending_set(g) & ~load_rlx(&g->sig.mask)) != 0;
	if (yes)
		atomic_fetch_or(&g->interrupt, IntrSignal);
	else
		atomic_fetch_and(&g->interrupt, ~(uint32_t)IntrSignal);
	unlock(&siglock);
	if (!yes && atomic_load(&sig_shared.set))
		sig_retarget(load_rlx(&g->sig.mask));
	return yes;
}

bool sig_park(struct g *g, int64_t deadline)
{
	for (;;) {
		if (sig_deliverable(g))
			return true;
		uint32_t seq = wait_begin(g, WaitSignal);
		/* seq_cst: pairs with the store to interrupt in wake_target */
		atomic_thread_fence(memory_order_seq_cst);
		if (load_acq(&g->interrupt) || !sig_inbox_empty()) {
			wait_cancel(g);
			continue;
		}
		if (deadline)
			timer_add(&g->timer, deadline, timer_wake, g, seq);
		enum wake how = wait_park(g);
		if (deadline)
			timer_del(&g->timer);
		if (how == WakeTimeout)
			return sig_deliverable(g);
	}
}
