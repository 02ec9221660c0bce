/* locks.h - which words of memory threads waited on, and for how long: the hottest locks of a trace.
 */
#ifndef PRELOOM_LOCKS_H
#define PRELOOM_LOCKS_H

#include <stddef.h>
#include <stdint.h>

struct lock_sum {
	uint64_t address;
	uint64_t waits, ticks, longest;
	uint64_t as_mutex;	    /* waits that found it held by somebody, as mutexes do */
	uint64_t holder, holder_ticks; /* the G that made others wait most, by a majority vote weighed with time */
	uint64_t waiting, since, delay; /* how many wait now; and what they have waited, in sum, since it was last released */
};

struct locks {
	struct lock_sum *slot;
	size_t n, nslots;
	uint64_t forgotten; /* waits on addresses for which there was no room */
};

void locks_wait(struct locks *l, uint64_t address, uint64_t now);
/* The end of such a wait, that began at `from`. readied_by: the G that ended it, 0: none. */
void locks_end(struct locks *l, uint64_t address, uint64_t from, uint64_t now, int is_mutex, uint64_t readied_by);
void locks_free(struct locks *l);
/* Moves the mutexes to the front, the one that was waited for longest first; returns how many. Ends the adding. */
size_t locks_sort(struct locks *l);

#endif
