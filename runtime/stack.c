/* stack.c - the pool that glibc's thread stacks come from.
 *
 * Address space is reserved in large regions, readable and writable, without a commit charge and without huge pages;
 * neighbours merge, so a region is one entry in the kernel's map however many stacks it holds. Guards: stackguard.c.
 *
 * A stack is a slot of a region; all slots of a region have one size. A slot keeps its guard when it is freed: whoever
 * takes it next mostly asks for the same one. What it takes must read as zero, though (glibc relies on that for its
 * descriptor), and its memory must not stay in use, so a freed slot goes through up to four stages:
 *
 *     dirty   as the thread left it. Few, bounded in address space, for the memory they may hold is not known.
 *     cooling the same, for a tenth of a second or two: where many threads end, new ones often follow. sysmon sees to those
 *             that nobody took in that time.
 *     warm    all but the top KEEP bytes is dropped; who takes it zeroes those by hand: no page fault. Some were made ready
 *             ahead of need and are zero (stackahead.c).
 *     clean   nothing is in memory. Neighbours are dropped in one call.
 *
 * To take a dirty one costs 0.8 µs, a warm one 0.3 µs, a clean one a call that makes two pages of memory.
 * What lies below the frames of a thread that ends is discarded by glibc at each exit: the shim ignores that, since
 * glibc's own cache of stacks is small, and what it does not keep comes here.
 * Rejected: cleaning at each death. Dropping all pages of one stack and removing its guard is 15 µs, because the kernel
 * walks every entry of 8 MiB.
 */
#include "stackimpl.h"
#include <asm/errno.h>
#include <linux/mman.h>

#define TABLE (2UL << 20) /* what one page of page-table entries maps */
#define MAX_REGIONS 4096
#define MAX_REGION (64ULL << 30)
#define MIN_SLOTS 4

#define DIRTY_MAX 32
#define DIRTY_BYTES (128UL << 20)
#define WARM_MAX 1024
#define COOLING_MAX 16384
#define COOLING_PERIOD (100 * NSEC_PER_MSEC)
#define COOLING_BATCH 256

static struct lock stack_lk = LOCK_INIT(RankStack);
static struct region regions[MAX_REGIONS]; /* ascending in time, never removed; bounds are read without the lock */
static _Atomic uint32_t nregions;
static _Atomic uint32_t last_hit;
static uint64_t nslots_total;
static struct freed dirty[DIRTY_MAX]; /* newest last */
static uint32_t ndirty, nwarm;
static _Atomic uint32_t ncooling;
static uint32_t least_cooling; /* in the present period */

void stack_lock(void)
{
	lock(&stack_lk);
}

void stack_unlock(void)
{
	unlock(&stack_lk);
}

/* In the child of a vfork, whose parent had other M's in the middle of it: what is free stays behind. */
void stack_after_vfork(void)
{
	store_rlx(&stack_lk.v, 0);
	ndirty = nwarm = 0;
	store_rlx(&ncooling, 0);
	for (uint32_t k = load_rlx(&nregions); k > 0; k--)
		regions[k - 1].cooling = regions[k - 1].warm = regions[k - 1].clean = NONE;
}

static bool within(const struct region *r, uintptr_t addr)
{
	return addr >= r->lo && addr < r->hi;
}

struct region *stack_region(uintptr_t addr)
{
	uint32_t n = load_acq(&nregions), hint = load_rlx(&last_hit);
	if (hint < n && within(&regions[hint], addr))
		return &regions[hint];
	for (uint32_t i = n; i > 0; i--)
		if (within(&regions[i - 1], addr)) {
			store_rlx(&last_hit, i - 1);
			return &regions[i - 1];
		}
	return NULL;
}

bool stack_contains(uintptr_t addr)
{
	return stack_region(addr) != NULL;
}

bool stack_bounds(uintptr_t addr, uintptr_t *lo, uintptr_t *hi)
{
	struct region *r = stack_region(addr);
	if (!r)
		return false;
	*lo = slot_lo(r, slot_of(r, addr));
	*hi = *lo + r->size;
	return true;
}

/* --- regions --- */

/* A guard and the top of the stack below it lie side by side. Where slots are multiples of what a page of the page table
 * maps, they begin in the middle of that, so that the two share one. */
static uintptr_t region_start(uintptr_t p, size_t size)
{
	return size % TABLE ? p : align_up(p, TABLE) + TABLE / 2;
}

/* The slots, and what is known of each. */
static size_t region_size(uint64_t count, size_t size)
{
	return count * size + align_up(count * sizeof(struct slot), PAGE);
}

/* Regions grow with the number of stacks in use, so that few suffice for a million and little is reserved for ten. */
static struct region *region_new_locked(size_t size)
{
	uint32_t n = load_rlx(&nregions);
	if (n == MAX_REGIONS)
		return NULL;
	uint64_t count = nslots_total;
	if (count > MAX_REGION / size)
		count = MAX_REGION / size;
	if (count < MIN_SLOTS)
		count = MIN_SLOTS;
	size_t slack = size % TABLE ? 0 : 2 * TABLE;
	void *p = NULL;
	/* Less where address space is scarce (RLIMIT_AS). */
	while (count && !(p = os_reserve(region_size(count, size) + slack)))
		count /= 2;
	if (!p)
		return NULL;
	struct region *r = &regions[n];
	r->lo = region_start((uintptr_t)p, size);
	r->hi = r->lo + count * size;
	r->size = size;
	r->used = r->guard = 0;
	r->nslots = (uint32_t)count;
	r->cooling = r->warm = r->clean = NONE;
	r->slots = (struct slot *)r->hi;
	nslots_total += count;
	store_rel(&nregions, n + 1); /* release: readers see a complete region */
	return r;
}

/* --- taking a slot --- */

static bool pop_locked(struct region *r, uint32_t *list, uint32_t *i)
{
	*i = *list;
	if (*i == NONE)
		return false;
	*list = r->slots[*i].next;
	return true;
}

static void push_locked(struct region *r, uint32_t *list, uint32_t i)
{
	r->slots[i].next = *list;
	*list = i;
}

static bool pop_cooling_locked(struct region *r, uint32_t *i)
{
	if (!pop_locked(r, &r->cooling, i))
		return false;
	uint32_t n = load_rlx(&ncooling) - 1;
	store_rlx(&ncooling, n);
	if (least_cooling > n)
		least_cooling = n;
	return true;
}

static bool take_dirty_locked(size_t size, struct freed *f)
{
	for (uint32_t k = ndirty; k > 0; k--) {
		if (dirty[k - 1].r->size != size)
			continue;
		*f = dirty[k - 1];
		for (ndirty--; k <= ndirty; k++)
			dirty[k - 1] = dirty[k];
		return true;
	}
	return false;
}

/* One that has memory. */
static enum stage take_used_locked(size_t size, struct freed *f)
{
	for (uint32_t k = nwarm + load_rlx(&ncooling) ? load_rlx(&nregions) : 0; k > 0; k--) {
		f->r = &regions[k - 1];
		if (f->r->size != size)
			continue;
		if (pop_locked(f->r, &f->r->warm, &f->i)) {
			nwarm--;
			return Warm;
		}
		if (pop_cooling_locked(f->r, &f->i))
			return Dirty;
	}
	return Nothing;
}

/* One that has none. */
enum stage stack_take_cold_locked(size_t size, struct freed *f)
{
	for (uint32_t k = load_rlx(&nregions); k > 0; k--) {
		f->r = &regions[k - 1];
		if (f->r->size != size)
			continue;
		if (pop_locked(f->r, &f->r->clean, &f->i))
			return Clean;
		if (f->r->used < f->r->nslots) {
			f->i = f->r->used++;
			return Untouched;
		}
	}
	return Nothing;
}

static enum stage take_locked(size_t size, struct freed *f)
{
	if (take_dirty_locked(size, f))
		return Dirty;
	enum stage stage = take_used_locked(size, f);
	if (stage != Nothing)
		return stage;
	stage = stack_take_cold_locked(size, f);
	if (stage != Nothing)
		return stage;
	f->r = region_new_locked(size);
	if (!f->r)
		return Nothing;
	f->i = f->r->used++;
	return Untouched;
}

uint32_t stack_take_ahead(struct region *r, uint32_t guard, uint32_t max, uint32_t *first)
{
	lock(&stack_lk);
	uint32_t n = r->nslots - r->used;
	r->guard = guard;
	r->ahead = 2 * r->ahead + 1 < max ? 2 * r->ahead + 1 : max;
	if (n > r->ahead)
		n = r->ahead;
	*first = r->used;
	r->used += n;
	unlock(&stack_lk);
	return n;
}

void stack_give_ahead(struct region *r, uint32_t first, uint32_t n)
{
	lock(&stack_lk);
	for (uint32_t i = first + n; i > first; i--)
		push_locked(r, &r->clean, i - 1);
	unlock(&stack_lk);
}

/* Also what mlockall keeps in memory (from Linux 5.18 on). False: it is as it was. */
static bool drop(uintptr_t lo, size_t size)
{
	return os_madvise((void *)lo, size, MADV_DONTNEED) != -EINVAL ||
	       os_madvise((void *)lo, size, MADV_DONTNEED_LOCKED) != -EINVAL;
}

/* All but the top. */
static void cool(const struct freed *f)
{
	uintptr_t lo = slot_lo(f->r, f->i) + f->r->slots[f->i].guard * PAGE, hi = slot_lo(f->r, f->i) + f->r->size;
	if (lo < hi - KEEP)
		drop(lo, hi - KEEP - lo);
}

static void zero_top(const struct freed *f)
{
	size_t n = f->r->size - f->r->slots[f->i].guard * PAGE;
	if (n > KEEP)
		n = KEEP;
	uint64_t *p = (uint64_t *)(slot_lo(f->r, f->i) + f->r->size - n);
	for (size_t k = 0; k < n / 8; k++)
		p[k] = 0;
}

/* One call costs less than the page faults that the maker of a thread and the thread itself would have there (on an Intel Xeon
 * 1.4 against 2.1 µs; on an AMD EPYC the same). Where the kernel refuses it (before Linux 5.14), those come as ever. */
void stack_touch_top(const struct freed *f)
{
	size_t n = f->r->size < KEEP ? f->r->size : KEEP;
	os_madvise((void *)(slot_lo(f->r, f->i) + f->r->size - n), n, MADV_POPULATE_WRITE);
}

/* Memory for a stack of `size` bytes (a multiple of the page size), zero; NULL: ask the kernel instead. Nothing of it is
 * for use before stack_guard says how much of it is the guard. */
void *stack_alloc(size_t size)
{
	struct freed f;
	lock(&stack_lk);
	enum stage stage = take_locked(size, &f);
	bool blank = stage == Warm && f.r->slots[f.i].flags & Blank;
	bool cold = stage == Clean || stage == Untouched;
	if (blank || cold)
		stack_count_cold_locked(size, blank);
	unlock(&stack_lk);
	if (stage == Nothing)
		return NULL;
	if (stage == Dirty)
		cool(&f);
	if (stage == Dirty || (stage == Warm && !blank))
		zero_top(&f);
	if (cold)
		stack_touch_top(&f);
	f.r->slots[f.i].flags = stage == Untouched ? Closed | Fresh : Closed;
	return (void *)slot_lo(f.r, f.i);
}

/* --- giving one back --- */

void stack_give_clean_locked(const struct freed *f)
{
	push_locked(f->r, &f->r->clean, f->i);
}

void stack_give_warm_locked(const struct freed *f)
{
	push_locked(f->r, &f->r->warm, f->i);
}

/* Is there room for n more that are warm? They count from now on. */
bool stack_keeps_warm_locked(uint32_t n)
{
	bool keep = nwarm + n <= WARM_MAX;
	nwarm += keep ? n : 0;
	return keep;
}

/* Drops all pages; one call for slots that lie side by side. Guards stay. What cannot be dropped is zeroed where it matters. */
static void clean(const struct freed *f, uint32_t n)
{
	for (uint32_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && f[k].r == f[i].r && f[k].i == f[k - 1].i + 1; k++)
			;
		if (!drop(slot_lo(f[i].r, f[i].i), (k - i) * f[i].r->size))
			for (uint32_t j = i; j < k; j++)
				zero_top(&f[j]);
	}
}

/* Moves dirty slots on. The lock is not held meanwhile: in the child of a fork that comes between, they are lost. */
static void settle(const struct freed *f, uint32_t n, bool keep_warm)
{
	if (keep_warm)
		for (uint32_t i = 0; i < n; i++)
			cool(&f[i]);
	else
		clean(f, n);
	lock(&stack_lk);
	for (uint32_t i = 0; i < n; i++)
		if (keep_warm)
			stack_give_warm_locked(&f[i]);
		else
			stack_give_clean_locked(&f[i]);
	unlock(&stack_lk);
}

/* All dirty slots begin to cool, or go to `batch` if there are too many. */
static uint32_t move_dirty_locked(struct freed *batch)
{
	uint32_t n = ndirty;
	bool later = sched.sysmon_started && load_rlx(&ncooling) + n <= COOLING_MAX;
	for (uint32_t k = 0; k < n; k++)
		if (later)
			push_locked(dirty[k].r, &dirty[k].r->cooling, dirty[k].i);
		else
			batch[k] = dirty[k];
	if (later)
		store_rlx(&ncooling, load_rlx(&ncooling) + n);
	ndirty = 0;
	return later ? 0 : n;
}

static void slot_free(struct region *r, uint32_t i)
{
	struct slot *s = &r->slots[i];
	struct freed batch[DIRTY_MAX];
	uint32_t n = 0;
	bool keep_warm = false;
	if (!slot_unprotect(r, i))
		return;
	s->flags = s->gone = 0;
	lock(&stack_lk);
	if (ndirty == DIRTY_MAX || (ndirty && (ndirty + 1) * r->size > DIRTY_BYTES)) {
		n = move_dirty_locked(batch);
		keep_warm = n && stack_keeps_warm_locked(n);
	}
	dirty[ndirty++] = (struct freed){ r, i };
	unlock(&stack_lk);
	if (n)
		settle(batch, n, keep_warm);
}

bool stack_is_cooling(void)
{
	return load_rlx(&ncooling) != 0;
}

/* From sysmon: what was not taken for a whole period is given back, some at a time. */
void stack_tick(int64_t now)
{
	static int64_t since;
	static uint32_t todo;
	struct freed batch[COOLING_BATCH];
	uint32_t n = 0;
	if (likely(!stack_is_cooling()))
		return;
	lock(&stack_lk);
	if (now - since >= COOLING_PERIOD) {
		since = now;
		todo = least_cooling;
		least_cooling = load_rlx(&ncooling);
	}
	/* Filled from behind: the last one freed comes first, and clean() wants neighbours in ascending order. */
	for (uint32_t k = load_rlx(&nregions); k > 0; k--)
		for (uint32_t i; n < COOLING_BATCH && n < todo && pop_cooling_locked(&regions[k - 1], &i); n++)
			batch[COOLING_BATCH - 1 - n] = (struct freed){ &regions[k - 1], i };
	todo = n ? todo - n : 0;
	bool keep_warm = n && stack_keeps_warm_locked(n);
	unlock(&stack_lk);
	if (n)
		settle(&batch[COOLING_BATCH - n], n, keep_warm);
}

/* munmap within one slot. Only when all of it has been unmapped the slot is free. */
static void unmap(struct region *r, uint32_t i, uintptr_t addr, size_t size)
{
	struct slot *s = &r->slots[i];
	if (size < r->size) {
		drop(addr, size);
		s->gone += (uint32_t)(size / PAGE);
		if (s->gone * PAGE < r->size)
			return;
	}
	slot_free(r, i);
}

/* munmap. */
bool stack_free(uintptr_t addr, size_t size)
{
	struct region *r = stack_region(addr);
	if (!r)
		return false;
	while (size && addr < r->hi) {
		uint32_t i = slot_of(r, addr);
		size_t rest = slot_lo(r, i) + r->size - addr, n = size < rest ? size : rest;
		unmap(r, i, addr, n);
		addr += n;
		size -= n;
	}
	return true;
}
