/* stackguard.c - guard pages of stacks, and what mprotect means in the pool.
 *
 * Guards are installed in the page tables (MADV_GUARD_INSTALL, Linux 6.13); before that, and in a sandbox that refuses
 * it, by mprotect, which splits the map, so thread counts then stop at vm.max_map_count. A program that makes one thread after another wants the same
 * guard for each: a stack that is used for the first time gets its guard together with some that come after it, in one
 * call (process_madvise on oneself, Linux 6.15), which costs a third per guard. How many grows with the number in use.
 * What the program maps over a part of a stack changes the same books (stack_renew), or ends them (stack_foreign).
 * To make memory for the tops of those stacks in the same call was tried: it costs what a call for each costs.
 */
#include "stackimpl.h"
#include <asm/errno.h>
#include <linux/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define AHEAD 15

static bool guards_by_mprotect;
static bool guards_one_by_one;

int guard_set(uintptr_t addr, size_t size)
{
	if (!guards_by_mprotect) {
		int err = os_madvise((void *)addr, size, MADV_GUARD_INSTALL);
		if (err == 0 || err == -ENOMEM)
			return err;
		guards_by_mprotect = true;
	}
	return os_mprotect((void *)addr, size, PROT_NONE);
}

/* Once guards are made by mprotect there may still be some of the other kind, which the kernel refused only then (mlockall). */
static int guard_clear(uintptr_t addr, size_t size)
{
	int err = os_madvise((void *)addr, size, MADV_GUARD_REMOVE);
	return guards_by_mprotect ? os_mprotect((void *)addr, size, PROT_READ | PROT_WRITE) : err;
}

/* The first guard of slot i, and those of slots that nobody has used yet. */
static int guard_first(struct region *r, uint32_t i, size_t size)
{
	struct os_range v[1 + AHEAD] = { { (void *)slot_lo(r, i), size } };
	uint32_t first, n = stack_take_ahead(r, (uint32_t)(size / PAGE), AHEAD, &first);
	for (uint32_t k = 0; k < n; k++)
		v[1 + k] = (struct os_range){ (void *)slot_lo(r, first + k), size };
	long done = os_madvise_ranges(v, n + 1, MADV_GUARD_INSTALL);
	for (uint32_t k = 0; k < n; k++) {
		bool has = done >= (long)((k + 2) * size);
		r->slots[first + k].guard = has ? (uint32_t)(size / PAGE) : 0;
	}
	stack_give_ahead(r, first, n);
	if (done < 0)
		guards_one_by_one = true;
	return done < (long)size ? guard_set(slot_lo(r, i), size) : 0;
}

/* Makes [lo, lo+size) of a slot its guard, and nothing else. */
int guard_resize(struct region *r, uint32_t i, size_t size)
{
	struct slot *s = &r->slots[i];
	uintptr_t lo = slot_lo(r, i);
	size_t old = s->guard * PAGE;
	int err = 0;
	if (size && s->flags & Fresh && !guards_one_by_one)
		err = guard_first(r, i, size);
	else if (size > old)
		err = guard_set(lo + old, size - old);
	else if (size < old)
		err = guard_clear(lo + size, old - size);
	if (err == 0)
		s->guard = (uint32_t)(size / PAGE);
	return err;
}

/* A slot that goes back to the pool is open but for its guard. False: it cannot go back. */
bool slot_unprotect(struct region *r, uint32_t i)
{
	struct slot *s = &r->slots[i];
	if (s->flags & Foreign) {
		s->guard = 0;
		return os_renew((void *)slot_lo(r, i), r->size) == 0;
	}
	if (s->flags & Protected)
		os_mprotect((void *)slot_lo(r, i), r->size, PROT_READ | PROT_WRITE);
	if (s->flags & OddGuard || (s->flags & Protected && guards_by_mprotect)) {
		guard_clear(slot_lo(r, i), r->size);
		s->guard = 0;
	}
	return true;
}

/* No access to [addr, addr+size), which need not be the bottom of the slot. */
static int close_part(struct region *r, uint32_t i, uintptr_t addr, size_t size)
{
	struct slot *s = &r->slots[i];
	uintptr_t guard_hi = slot_lo(r, i) + s->guard * PAGE;
	/* Data in pages that become a guard is lost: at the end of a stack there is none. */
	if (addr <= guard_hi)
		return addr + size > guard_hi ? guard_resize(r, i, addr + size - slot_lo(r, i)) : 0;
	s->flags |= Protected;
	return os_mprotect((void *)addr, size, PROT_NONE);
}

static int open_part(struct region *r, uint32_t i, uintptr_t addr, size_t size)
{
	struct slot *s = &r->slots[i];
	uintptr_t lo = slot_lo(r, i), guard_hi = lo + s->guard * PAGE;
	int err = 0;
	if (s->flags & Protected)
		err = os_mprotect((void *)addr, size, PROT_READ | PROT_WRITE);
	if (err || (addr >= guard_hi && !(s->flags & OddGuard)))
		return err;
	if (addr + size >= guard_hi && !(s->flags & OddGuard))
		return guard_resize(r, i, addr - lo);
	s->flags |= OddGuard;
	return guard_clear(addr, size);
}

/* The stack was mapped without access: all but [addr, addr+size) stays so. */
static int open_first(struct region *r, uint32_t i, uintptr_t addr, size_t size)
{
	uintptr_t end = slot_lo(r, i) + r->size;
	int err = guard_resize(r, i, addr - slot_lo(r, i));
	r->slots[i].flags &= ~(uint32_t)(Closed | Fresh);
	if (err || addr + size == end)
		return err;
	r->slots[i].flags |= OddGuard;
	return guard_set(addr + size, end - addr - size);
}

/* mprotect within a slot. glibc maps a stack without access and then opens all but the guard; other programs map it
 * open and then close the guard: both must end with guards below and an open stack. */
int stack_protect(uintptr_t addr, size_t size, int prot)
{
	struct region *r = stack_region(addr);
	uint32_t i = slot_of(r, addr);
	struct slot *s = &r->slots[i];
	if (s->flags & Foreign) {
		if (prot != PROT_NONE && !guards_by_mprotect)
			guard_clear(addr, size);
		return os_mprotect((void *)addr, size, prot);
	}
	if (prot == PROT_NONE)
		return s->flags & Closed ? 0 : close_part(r, i, addr, size);
	if (s->flags & Closed) {
		int err = open_first(r, i, addr, size);
		if (err || prot == (PROT_READ | PROT_WRITE))
			return err;
	}
	if (prot == (PROT_READ | PROT_WRITE))
		return open_part(r, i, addr, size);
	s->flags |= Protected;
	return os_mprotect((void *)addr, size, prot);
}

/* mmap of private memory over a part of a slot: Java's virtual machine makes and ends the guards of its threads' stacks so.
 * The kernel would take our guards away with what was mapped. An error: not done, it must be the kernel's and stack_foreign told. */
int stack_renew(uintptr_t addr, size_t size, int prot)
{
	struct region *r = stack_region(addr);
	if (r->slots[slot_of(r, addr)].flags & Foreign)
		return -EINVAL;
	int err = os_madvise((void *)addr, size, MADV_DONTNEED);
	return err ? err : stack_protect(addr, size, prot);
}

/* Something else has been mapped at addr: from now on the kernel knows what may be accessed there, we do not. */
void stack_foreign(uintptr_t addr, size_t size)
{
	struct region *r = stack_region(addr);
	uint32_t last = slot_of(r, addr + size <= r->hi ? addr + size - 1 : r->hi - 1);
	for (uint32_t i = slot_of(r, addr); i <= last; i++)
		r->slots[i].flags = (r->slots[i].flags & ~(uint32_t)(Closed | Fresh)) | Foreign;
}

/* The stack at lo is open but for its first n bytes. */
int stack_guard(uintptr_t lo, size_t n)
{
	struct region *r = stack_region(lo);
	uint32_t i = slot_of(r, lo);
	r->slots[i].flags &= ~(uint32_t)(Closed | Fresh);
	return guard_resize(r, i, n);
}
