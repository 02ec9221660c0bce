/* locks.c - sums of waits by the word that was waited on.
 *
 * A futex word does not say what it belongs to. That of a mutex, glibc's and most others', is 2 while it is held and waited
 * for; condition variables, semaphores and joins sleep on other values. So a word counts as a mutex if most waits found
 * a 2. Who makes a waiter runnable is who held it. Memory is bounded: addresses beyond that are only counted.
 */
#include "locks.h"
#include <stdlib.h>
#include <string.h>

#define FIRST 1024
#define MOST (1u << 18)

static struct lock_sum *find(const struct lock_sum *slot, size_t nslots, uint64_t address)
{
	size_t i = (size_t)(address * 0x9e3779b97f4a7c15ULL >> 30) & (nslots - 1);
	while (slot[i].address && slot[i].address != address)
		i = (i + 1) & (nslots - 1);
	return (struct lock_sum *)&slot[i];
}

static int grow(struct locks *l)
{
	size_t n = l->nslots ? 2 * l->nslots : FIRST;
	if (n > MOST)
		return 0;
	struct lock_sum *slot = calloc(n, sizeof(*slot));
	if (!slot)
		return 0;
	for (size_t i = 0; i < l->nslots; i++)
		if (l->slot[i].address)
			*find(slot, n, l->slot[i].address) = l->slot[i];
	free(l->slot);
	l->slot = slot;
	l->nslots = n;
	return 1;
}

static struct lock_sum *slot_of(struct locks *l, uint64_t address)
{
	if (!address)
		return NULL;
	if (2 * (l->n + 1) > l->nslots && !grow(l) && l->n + 1 >= l->nslots) {
		l->forgotten++;
		return NULL;
	}
	struct lock_sum *s = find(l->slot, l->nslots, address);
	if (!s->address) {
		s->address = address;
		l->n++;
	}
	return s;
}

static void pass(struct lock_sum *s, uint64_t now)
{
	s->delay += s->waiting * (now - s->since);
	s->since = now;
}

void locks_wait(struct locks *l, uint64_t address, uint64_t now)
{
	struct lock_sum *s = slot_of(l, address);
	if (!s)
		return;
	pass(s, now);
	s->waiting++;
}

/* Who released it is to blame for what all who wait have waited since it was released the last time. */
static void blame(struct lock_sum *s, uint64_t who)
{
	if (s->holder == who) {
		s->holder_ticks += s->delay;
	} else if (s->holder_ticks >= s->delay) {
		s->holder_ticks -= s->delay;
	} else {
		s->holder = who;
		s->holder_ticks = s->delay - s->holder_ticks;
	}
	s->delay = 0;
}

void locks_end(struct locks *l, uint64_t address, uint64_t from, uint64_t now, int is_mutex, uint64_t readied_by)
{
	struct lock_sum *s = slot_of(l, address);
	if (!s)
		return;
	uint64_t ticks = now - from;
	pass(s, now);
	if (s->waiting)
		s->waiting--;
	s->waits++;
	s->ticks += ticks;
	s->longest = ticks > s->longest ? ticks : s->longest;
	s->as_mutex += (uint64_t)(is_mutex != 0);
	if (readied_by)
		blame(s, readied_by);
}

static int mutex(const struct lock_sum *s)
{
	return s->address && 2 * s->as_mutex >= s->waits;
}

static int by_time(const void *a, const void *b)
{
	const struct lock_sum *x = a, *y = b;
	if (mutex(x) != mutex(y))
		return mutex(y) - mutex(x);
	return x->ticks < y->ticks ? 1 : x->ticks > y->ticks ? -1 : 0;
}

size_t locks_sort(struct locks *l)
{
	size_t n = 0;
	if (l->nslots)
		qsort(l->slot, l->nslots, sizeof(*l->slot), by_time);
	while (n < l->nslots && mutex(&l->slot[n]))
		n++;
	return n;
}

void locks_free(struct locks *l)
{
	free(l->slot);
	memset(l, 0, sizeof(*l));
}
