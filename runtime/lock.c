/* lock.c - a three-state futex lock: free, held, held with sleepers.
 *
 * Held times are far shorter than a sleep, so a contender spins a little first; it sleeps because the holder's kernel
 * thread may have been descheduled. Works without an M too (a kernel thread of the program's own making).
 */
#include "runtime.h"

#define SPINS 40

static void rank_push(struct lock *l)
{
#ifdef PRELOOM_DEBUG
	struct m *m = getm();
	if (!m || m->foreign)
		return;
	/* ascending order; two futex buckets may be held, by address */
	check(!(m->rank >> (l->rank + (l->rank == RankFutex))));
	m->rank |= 1u << l->rank;
	m->locks++;
#else
	(void)l;
#endif
}

static void rank_pop(struct lock *l)
{
#ifdef PRELOOM_DEBUG
	struct m *m = getm();
	if (!m || m->foreign)
		return;
	m->rank &= ~(1u << l->rank);
	m->locks--;
#else
	(void)l;
#endif
}

bool trylock(struct lock *l)
{
	uint32_t v = 0;
	if (!atomic_compare_exchange_strong_explicit(&l->v, &v, 1, memory_order_acquire, memory_order_relaxed))
		return false;
	rank_push(l);
	return true;
}

void lock(struct lock *l)
{
	uint32_t v = 0;
	if (unlikely(!atomic_compare_exchange_strong_explicit(&l->v, &v, 1, memory_order_acquire,
							      memory_order_relaxed))) {
		for (int i = 0; i < SPINS; i++) {
			arch_pause();
			v = 0;
			if (load_rlx(&l->v) == 0 &&
			    atomic_compare_exchange_strong_explicit(&l->v, &v, 1, memory_order_acquire,
								    memory_order_relaxed))
				goto held;
		}
		while (atomic_exchange_explicit(&l->v, 2, memory_order_acquire) != 0)
			os_futex_sleep(&l->v, 2, -1);
	}
held:
	rank_push(l);
}

void unlock(struct lock *l)
{
	rank_pop(l);
	/* release: pairs with the acquire in lock */
	if (unlikely(atomic_exchange_explicit(&l->v, 0, memory_order_release) == 2))
		os_futex_wake(&l->v, 1);
}
