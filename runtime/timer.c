/* timer.c - deadlines: one 4-ary heap per P.
 *
 * The heap's slots hold the deadlines beside the pointers: sifting through ten thousand sleepers then touches a few cache
 * lines of the heap instead of one in each sleeper's G.
 * A timer lies in the heap of the P that was current when it was added, and is taken out by its P in every scheduling
 * round, by a thief, or by timer_del. The heap's lock is held for the heap operation only: the function runs after the
 * timer left the heap, so it may add timers again. It gets (g, number) by value and claims g's wait record, so a
 * timer_del that comes too late does no harm.
 */
#include "runtime.h"

#define TICKS_ASLEEP (1 << 18) /* some 100 µs */

static void put(struct timerheap *h, uint32_t i, struct timerslot slot)
{
	h->slot[i] = slot;
	slot.t->index = i;
}

static void sift_up(struct timerheap *h, uint32_t i)
{
	struct timerslot slot = h->slot[i];
	while (i > 0) {
		uint32_t parent = (i - 1) / 4;
		if (h->slot[parent].when <= slot.when)
			break;
		put(h, i, h->slot[parent]);
		i = parent;
	}
	put(h, i, slot);
}

static void sift_down(struct timerheap *h, uint32_t i)
{
	struct timerslot slot = h->slot[i];
	for (;;) {
		uint32_t first = 4 * i + 1, best = i;
		int64_t when = slot.when;
		for (uint32_t c = first; c < first + 4 && c < h->len; c++)
			if (h->slot[c].when < when) {
				when = h->slot[c].when;
				best = c;
			}
		if (best == i)
			break;
		put(h, i, h->slot[best]);
		i = best;
	}
	put(h, i, slot);
}

static void update_first(struct timerheap *h)
{
	/* seq_cst: pairs with the exchange of lastpoll in findrunnable; one of both sides sees the other */
	atomic_store(&h->first, h->len ? h->slot[0].when : 0);
}

static void heap_remove(struct timerheap *h, struct timer *t)
{
	uint32_t i = t->index;
	struct timerslot last = h->slot[--h->len];
	if (last.t != t) {
		put(h, i, last);
		sift_up(h, i);
		sift_down(h, last.t->index);
	}
	update_first(h);
	store_rel(&t->pp, NULL);
}

/* Some P has a new earliest deadline `when`: see to it that an M sleeping in the netpoller wakes in time. */
void timer_wake_poller(int64_t when)
{
	if (atomic_load(&sched.lastpoll) != 0)
		return;
	int64_t until = load_acq(&sched.polluntil);
	if (until == 0 || until > when)
		netpoll_break();
}

static void heap_add(struct p *pp, struct timer *t)
{
	struct timerheap *h = &pp->timers;
	if (h->len == h->cap) {
		uint32_t cap = h->cap ? 2 * h->cap : 16;
		h->slot = rt_grow(h->slot, h->cap * sizeof(*h->slot), cap * sizeof(*h->slot));
		h->cap = cap;
	}
	h->slot[h->len] = (struct timerslot){ t->when, t };
	store_rel(&t->pp, pp);
	sift_up(h, h->len++);
}

void timer_add(struct timer *t, int64_t when, timer_fn fn, struct g *g, uint32_t seq)
{
	struct p *pp = getm()->p;
	struct timerheap *h = &pp->timers;
	t->when = when > 0 ? when : 1;
	t->fn = fn;
	t->g = g;
	t->seq = seq;
	lock(&h->lock);
	heap_add(pp, t);
	bool first = h->slot[0].t == t;
	if (first)
		update_first(h);
	unlock(&h->lock);
	/* With an empty ring this M gets to the timers itself as soon as its G parks. */
	if (first && !runq_empty(pp))
		timer_wake_poller(t->when);
}

void timer_del(struct timer *t)
{
	struct p *pp;
	while ((pp = load_acq(&t->pp))) {
		struct timerheap *h = &pp->timers;
		lock(&h->lock);
		if (load_rlx(&t->pp) == pp)
			heap_remove(h, t);
		unlock(&h->lock);
	}
}

/* Both locks are held throughout: a timer is in one heap or the other for whoever comes to delete it. */
void timers_move(struct p *from, struct p *to)
{
	struct timerheap *h = &from->timers;
	if (!load_acq(&h->first))
		return;
	lock(from->id < to->id ? &h->lock : &to->timers.lock);
	lock(from->id < to->id ? &to->timers.lock : &h->lock);
	while (h->len)
		heap_add(to, h->slot[--h->len].t);
	update_first(&to->timers);
	update_first(h);
	unlock(&h->lock);
	unlock(&to->timers.lock);
}

/* The first whose time has come goes before those that hand off to each other: none of them runs for long, but together they
 * would keep it waiting for the end of their slice. Else sleepers queue, so that all run in the order of their deadlines and none
 * keeps the P from who waits in the ring; so does one that sleeps a nanosecond at a time. */
void timer_wake(struct g *g, uint32_t seq)
{
	struct p *pp = getm()->p;
	if (wait_claim(g, seq, WakeTimeout) != ClaimParked)
		return;
	if (pp->sleeper_next || !load_rlx(&pp->runnext) || (int64_t)(arch_cputicks() - g->wait_ticks) < TICKS_ASLEEP) {
		ready_last(g);
		return;
	}
	pp->sleeper_next = true;
	ready(g);
}

int64_t timers_run(struct p *pp, int64_t now)
{
	struct timerheap *h = &pp->timers;
	int64_t first;
	getm()->p->sleeper_next = false;
	while ((first = load_acq(&h->first))) {
		if (now == 0)
			now = os_nanotime();
		if (first > now)
			break;
		lock(&h->lock);
		struct timer *t = h->len ? h->slot[0].t : NULL;
		if (!t || t->when > now) {
			unlock(&h->lock);
			continue;
		}
		timer_fn fn = t->fn;
		struct g *g = t->g;
		uint32_t seq = t->seq;
		heap_remove(h, t);
		unlock(&h->lock);
		fn(g, seq);
	}
	return first;
}

int64_t timers_next(void)
{
	int64_t next = 0;
	for (int i = 0; i < sched.nprocs; i++) {
		int64_t w = atomic_load(&allp[i].timers.first);
		if (w && (!next || w < next))
			next = w;
	}
	return next;
}

/* Sleeps until CLOCK_MONOTONIC reaches `when`; 0, or -EINTR if a signal ended it. */
int64_t sleep_until(int64_t when)
{
	struct g *g = getg();
	uint32_t seq = wait_begin(g, WaitSleep);
	timer_add(&g->timer, when, timer_wake, g, seq);
	if (load_acq(&g->interrupt))
		wake_g(g, seq, WakeSignal);
	enum wake how = wait_park(g);
	if (how == WakeTimeout)
		return 0;
	timer_del(&g->timer);
	return -4;
}
