/* ahead.h - memory of the G's that run next, fetched while another runs.
 *
 * Ten thousand G's do not fit into the caches, and each that runs would wait for memory some twenty times. Of the next in the
 * ring the stack is fetched, of the one after that the G. The stacks of thousands lie in as many pages of the page table, and
 * a prefetch waits until its address is translated, but several translations take as long as one: so two stacks are begun
 * at a time. And then more of glibc's descriptor is fetched, what a thread touches when it begins or ends.
 * Rejected: four or eight at a time, or further ahead: no faster.
 */
#ifndef PRELOOM_AHEAD_H
#define PRELOOM_AHEAD_H

#include "runtime.h"

#define FAR 1024 /* G's from which on they are taken not to be in the caches */

/* What is fetched of a G, from its beginning; of its stack, around where it left off, what it comes back to and goes down to
 * again; and around FS: libc's own thread-local data, what lies in glibc's thread descriptor for its list of threads, for
 * every blocking call, and for the beginning and end of a thread. */
#define G_HOT 0x180
#define STACK_BELOW 0x100
#define STACK_ABOVE 0x300
#define FS_BELOW 0xc0
#define FS_LIST 0x2c0
#define FS_HOT 0x300
#define FS_ENDS 0x600
#define FS_ENDS_SIZE 0x300

/* The k-th in the ring. It may be a thief's by now: a G is always memory. */
static inline struct g *ahead(const struct p *pp, uint32_t head, uint32_t k)
{
	return load_rlx(&pp->runq[(head + k) % RUNQ_LEN]);
}

static inline __attribute__((always_inline)) void prefetch(uintptr_t from, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		__builtin_prefetch((const void *)(from + i));
}

/* Always inlined: gcc takes a call of what only prefetches for one without effect. */
static inline __attribute__((always_inline)) void prefetch_far(const struct p *pp, uint32_t head)
{
	if (head % 2 == 0) {
		for (uint32_t k = 0; k < 2; k++) {
			__builtin_prefetch((const void *)ahead(pp, head, k)->sp);
			__builtin_prefetch((const void *)ahead(pp, head, k)->fs);
		}
		for (uint32_t k = 2; k < 4; k++) {
			prefetch((uintptr_t)ahead(pp, head, k), G_HOT);
			prefetch((uintptr_t)ahead(pp, head, k) + offsetof(struct g, cputicks), 2 * 64);
		}
	}
	uintptr_t sp = ahead(pp, head, 0)->sp, fs = ahead(pp, head, 0)->fs;
	prefetch(sp - STACK_BELOW, STACK_BELOW + STACK_ABOVE);
	prefetch(fs - FS_BELOW, FS_BELOW);
	prefetch(fs + FS_LIST, FS_HOT + 64 - FS_LIST);
	prefetch(fs + FS_ENDS, FS_ENDS_SIZE);
}

static inline __attribute__((always_inline)) void prefetch_ahead(const struct p *pp)
{
	uint32_t head = load_rlx(&pp->runqhead), n = load_rlx(&pp->runqtail) - head;
	if (likely(n < 2))
		return;
	if (unlikely(n >= 4 && load_rlx(&sched.ngs) >= FAR)) {
		prefetch_far(pp, head);
		return;
	}
	struct g *next = ahead(pp, head, 0);
	prefetch(next->sp, SWITCH_SIZE + REGS_SIZE);
	__builtin_prefetch((const void *)next->fs);
	__builtin_prefetch((const void *)(next->fs + FS_HOT));
	prefetch((uintptr_t)ahead(pp, head, 1), 256);
}

#endif
