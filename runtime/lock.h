/* lock.h - the runtime's own lock, held for nanoseconds to microseconds, never across a park.
 *
 * Ranks, lowest first; a thread takes locks in ascending order (checked in Debug builds).
 */
#ifndef PRELOOM_LOCK_H
#define PRELOOM_LOCK_H

#include "base.h"

enum lockrank {
	RankSignal = 1, /* process-wide signal state */
	RankFutex,	/* a futex bucket (two buckets: by address) */
	RankNetpoll,	/* a descriptor */
	RankTimers,	/* a P's timer heap (two: by the P's number) */
	RankSched,	/* sched.lock */
	RankAllg,	/* table of G's */
	RankStack,	/* stack pool */
	RankAlloc,	/* slabs */
	RankPrint,
};

struct lock {
	_Atomic uint32_t v; /* 0 free, 1 held */
	uint32_t rank;
};

#define LOCK_INIT(r) { 0, (r) }

void lock_contended(struct lock *l); /* lock.c: spin, then yield, then sleep */
void lock_rank_push(struct lock *l);
void lock_rank_pop(struct lock *l);

/* For locks that LOCK_INIT cannot reach. */
static inline void lock_set_rank(struct lock *l, enum lockrank rank)
{
#ifdef PRELOOM_DEBUG
	l->rank = rank;
#else
	(void)l;
	(void)rank;
#endif
}

static inline bool trylock(struct lock *l)
{
	uint32_t v = 0;
	/* acquire: pairs with the release in unlock */
	if (!atomic_compare_exchange_strong_explicit(&l->v, &v, 1, memory_order_acquire, memory_order_relaxed))
		return false;
#ifdef PRELOOM_DEBUG
	lock_rank_push(l);
#endif
	return true;
}

static inline void lock(struct lock *l)
{
	if (unlikely(!trylock(l)))
		lock_contended(l);
}

static inline void unlock(struct lock *l)
{
#ifdef PRELOOM_DEBUG
	lock_rank_pop(l);
#endif
	store_rel(&l->v, 0); /* release: pairs with the acquire in trylock */
}

#endif
