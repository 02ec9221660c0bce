/* stack.c - the pool that glibc's thread stacks come from.
 *
 * Address space is reserved in large regions, readable and writable, without a commit charge and without huge pages;
 * neighbours merge, so a region is one entry in the kernel's map however many stacks it holds. Guard pages are
 * installed in the page tables (MADV_GUARD_INSTALL, Linux 6.13); before that by mprotect, which splits the map, so
 * thread counts then stop at vm.max_map_count.
 * A stack lies in a region of slots of one size. Freed stacks go to that region's list; their pages are dropped then,
 * so that the next user finds zeroes (glibc reuses its own cache of stacks without zeroing and without asking us).
 * What lies below the frames of a thread that ended is discarded by glibc with madvise at each exit: the shim
 * passes this on only when much was touched, see stack_discard.
 */
#include "runtime.h"
#include <asm/errno.h>
#include <linux/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define MAX_REGIONS 4096
#define MIN_REGION (64ULL << 20)
#define MAX_REGION (64ULL << 30)
#define FREE_NONE UINT32_MAX

struct region {
	uintptr_t lo, hi;
	size_t slot;	    /* bytes of a stack */
	uint32_t used;	    /* slots handed out at least once */
	uint32_t nslots;
	uint32_t freehead;  /* list of free slots, linked through `next` */
	uint32_t *next;
	bool guards_by_mprotect;
};

static struct lock stack_lk = LOCK_INIT(RankStack);
static struct region regions[MAX_REGIONS]; /* ascending in time, never removed; read without the lock */
static _Atomic uint32_t nregions;
static _Atomic uint64_t nslots_total;

void stack_lock(void)
{
	lock(&stack_lk);
}

void stack_unlock(void)
{
	unlock(&stack_lk);
}

static struct region *region_of(uintptr_t addr)
{
	uint32_t n = load_acq(&nregions);
	for (uint32_t i = n; i > 0; i--)
		if (addr >= regions[i - 1].lo && addr < regions[i - 1].hi)
			return &regions[i - 1];
	return NULL;
}

bool stack_contains(uintptr_t addr)
{
	return region_of(addr) != NULL;
}

bool stack_bounds(uintptr_t addr, uintptr_t *lo, uintptr_t *hi)
{
	struct region *r = region_of(addr);
	if (!r)
		return false;
	*lo = r->lo + (addr - r->lo) / r->slot * r->slot;
	*hi = *lo + r->slot;
	return true;
}

/* Regions grow with the number of stacks in use, so that few suffice for a million and little is reserved for ten. */
static struct region *region_new_locked(size_t slot)
{
	uint32_t n = load_rlx(&nregions);
	if (n == MAX_REGIONS)
		return NULL;
	uint64_t want = load_rlx(&nslots_total) * slot;
	if (want < MIN_REGION)
		want = MIN_REGION;
	if (want > MAX_REGION)
		want = MAX_REGION;
	uint64_t count = want / slot;
	if (count < 4)
		count = 4;
	void *p = NULL;
	while (count && !(p = os_reserve(count * slot)))
		count /= 2;
	if (!p)
		return NULL;
	struct region *r = &regions[n];
	r->lo = (uintptr_t)p;
	r->hi = r->lo + count * slot;
	r->slot = slot;
	r->used = 0;
	r->nslots = (uint32_t)count;
	r->freehead = FREE_NONE;
	r->next = rt_alloc(count * sizeof(*r->next));
	atomic_fetch_add_explicit(&nslots_total, count, memory_order_relaxed);
	store_rel(&nregions, n + 1); /* release: readers see a complete region */
	return r;
}

static void *slot_take_locked(struct region *r)
{
	uint32_t i;
	if (r->freehead != FREE_NONE) {
		i = r->freehead;
		r->freehead = r->next[i];
	} else if (r->used < r->nslots) {
		i = r->used++;
	} else {
		return NULL;
	}
	return (void *)(r->lo + (uintptr_t)i * r->slot);
}

/* Zeroed memory for a stack of `size` bytes (a multiple of the page size); NULL: ask the kernel instead. */
void *stack_alloc(size_t size)
{
	void *p = NULL;
	lock(&stack_lk);
	for (uint32_t i = load_rlx(&nregions); i > 0 && !p; i--)
		if (regions[i - 1].slot == size)
			p = slot_take_locked(&regions[i - 1]);
	if (!p) {
		struct region *r = region_new_locked(size);
		if (r)
			p = slot_take_locked(r);
	}
	unlock(&stack_lk);
	return p;
}

/* munmap of a whole stack. A part of one is only discarded: the rest of the slot stays in use. */
bool stack_free(uintptr_t addr, size_t size)
{
	struct region *r = region_of(addr);
	if (!r)
		return false;
	if (r->guards_by_mprotect)
		os_mprotect((void *)addr, size, PROT_READ | PROT_WRITE);
	else
		os_madvise((void *)addr, size, MADV_GUARD_REMOVE);
	os_madvise((void *)addr, size, MADV_DONTNEED);
	uintptr_t off = addr - r->lo;
	if (off % r->slot || size != r->slot)
		return true;
	uint32_t i = (uint32_t)(off / r->slot);
	lock(&stack_lk);
	r->next[i] = r->freehead;
	r->freehead = i;
	unlock(&stack_lk);
	return true;
}

static int guard(struct region *r, uintptr_t addr, size_t size)
{
	if (!r->guards_by_mprotect) {
		int err = os_madvise((void *)addr, size, MADV_GUARD_INSTALL);
		if (err != -EINVAL)
			return err;
		r->guards_by_mprotect = true;
	}
	return os_mprotect((void *)addr, size, PROT_NONE);
}

/* mprotect within the pool. glibc maps a stack without access and then opens all but the guard; other programs map it
 * open and then close the guard: both must end with guards below and an open stack. */
int stack_protect(uintptr_t addr, size_t size, int prot)
{
	struct region *r = region_of(addr);
	uintptr_t lo = r->lo + (addr - r->lo) / r->slot * r->slot;
	if (prot == PROT_NONE)
		return guard(r, addr, size);
	if (prot != (PROT_READ | PROT_WRITE))
		return os_mprotect((void *)addr, size, prot);
	if (r->guards_by_mprotect) {
		int err = os_mprotect((void *)addr, size, prot);
		if (err)
			return err;
	} else if (addr != lo && addr + size != lo + r->slot) {
		/* Part of a guard is opened again (pthread_attr_setguardsize on a cached stack). */
		int err = os_madvise((void *)addr, size, MADV_GUARD_REMOVE);
		if (err)
			return err;
	}
	return 0;
}

/* The stack was mapped with no access and [lo, lo+n) is to stay so. */
int stack_guard(uintptr_t lo, size_t n)
{
	return guard(region_of(lo), lo, n);
}

/* madvise(MADV_DONTNEED) within the pool. */
int stack_discard(uintptr_t addr, size_t size)
{
	return os_madvise((void *)addr, size, MADV_DONTNEED);
}
