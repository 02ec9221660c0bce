/* futex_waitv.c - waiting on several words at once: one wait record, a waiter per word. */
#include "futex.h"

static void unqueue_all(struct futexw *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		futex_leave(&w[i]);
}

/* w[i].addr and val[i] are set by the caller. Returns the index of a woken word, -EAGAIN if a word has another value
 * than expected, -EFAULT, -ETIMEDOUT or -EINTR. */
long futex_waitv(struct g *g, struct futexw *w, const uint32_t *val, uint32_t n, int64_t deadline)
{
	uint32_t seq = wait_begin(g, WaitFutex);
	g->wait_addr = w[0].addr;
	for (uint32_t i = 0; i < n; i++) {
		uintptr_t addr = w[i].addr;
		w[i] = (struct futexw){ .addr = addr, .g = g, .seq = seq, .bitset = ~0u, .how = (enum wake)(WakeWord + i) };
		long err = futex_queue(&w[i], val[i]);
		if (err) {
			wait_claim(g, seq, WakeSignal); /* whoever still tries to wake us fails */
			unqueue_all(w, i);
			enum wake how = wait_park(g);
			return how >= WakeWord ? (long)(how - WakeWord) : err;
		}
	}
	if (deadline)
		timer_add(&g->timer, deadline, timer_wake, g, seq);
	if (load_acq(&g->interrupt))
		wake_g(g, seq, WakeSignal);
	enum wake how = wait_park(g);
	if (deadline)
		timer_del(&g->timer);
	unqueue_all(w, n);
	if (how >= WakeWord)
		return (long)(how - WakeWord);
	return how == WakeTimeout ? -ETIMEDOUT : -EINTR;
}
