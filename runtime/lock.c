/* lock.c - the slow half of the runtime's lock: a contender spins, then yields the CPU, then sleeps a little.
 *
 * Held times are tens of nanoseconds and holders are never preempted by the runtime, so contention that outlasts the
 * spinning means that the kernel took the CPU from the holder: yielding gives it back. Releasing is then a plain store.
 * Rejected: a futex lock with a word for sleepers; its release is a second locked instruction, 7 ns in every one of
 * the two locks of a hand-off, for sleepers that hardly ever exist.
 */
#include "gs.h"
#include "runtime.h"

#define SPINS 100
#define YIELDS 20

void lock_contended(struct lock *l)
{
	for (unsigned i = 0;; i++) {
		if (load_rlx(&l->v) == 0 && trylock(l))
			return;
		if (i < SPINS)
			arch_pause();
		else if (i < SPINS + YIELDS)
			os_osyield();
		else
			os_usleep(20 * NSEC_PER_USEC);
	}
}

/* Debug builds: locks are taken in ascending order of rank; two futex buckets may be held, by address, and two timer heaps,
 * by their P's number. */
void lock_rank_push(struct lock *l)
{
	struct m *m = gs_m();
	if (!m || m->foreign)
		return;
	check(!(m->rank >> (l->rank + (l->rank == RankFutex || l->rank == RankTimers))));
	m->rank |= 1u << l->rank;
	m->locks++;
}

void lock_rank_pop(struct lock *l)
{
	struct m *m = gs_m();
	if (!m || m->foreign)
		return;
	m->rank &= ~(1u << l->rank);
	m->locks--;
}
