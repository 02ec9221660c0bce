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
	RankTimers,	/* a P's timer heap */
	RankSched,	/* sched.lock */
	RankAllg,	/* table of G's */
	RankStack,	/* stack pool */
	RankAlloc,	/* slabs */
	RankPrint,
};

struct lock {
	_Atomic uint32_t v; /* 0 free, 1 held, 2 held and somebody may sleep */
	uint32_t rank;
};

#define LOCK_INIT(r) { 0, (r) }

void lock(struct lock *l);
void unlock(struct lock *l);
bool trylock(struct lock *l);

#endif
