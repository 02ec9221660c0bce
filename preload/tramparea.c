/* tramparea.c - memory for trampolines, within reach of the text that jumps to it.
 *
 * Areas are reserved address space; an object gets whole pages, which are filled while they are writable and then
 * made executable for good, so that no page is ever both, and pages in use never change. Objects that lie near each
 * other share an area. /proc is not needed to find a free place: a mapping is asked for at growing distances, first below the
 * object (above an executable is its heap), until the kernel grants the very address. Without MAP_FIXED_NOREPLACE, which
 * sandboxes refuse. Areas are never given back.
 */
#include "tramparea.h"

#include <stdatomic.h>

#include "object.h"
#include "rawmem.h"

#define PAGE 4096UL
#define AREA_SIZE (256UL << 10)
#define AREAS 256
#define REACH ((1UL << 31) - (1UL << 20))
#define LOWEST 0x10000UL

static struct area {
	uintptr_t lo, hi;
	uintptr_t free; /* pages from here on are unused */
} areas[AREAS];
static _Atomic unsigned nareas;

static bool reaches(const struct object *o, uintptr_t lo, uintptr_t hi)
{
	uintptr_t from = o->lo < lo ? o->lo : lo, to = o->hi > hi ? o->hi : hi;

	return to - from <= REACH;
}

static uintptr_t try_at(uintptr_t at, size_t size)
{
	void *p = raw_map_at((void *)at, size, PROT_NONE, MAP_NORESERVE);

	if (!p)
		return 0;
	if ((uintptr_t)p == at)
		return at;
	raw_unmap(p, size);
	return 0;
}

static uintptr_t find_place(const struct object *o, size_t size)
{
	uintptr_t below = o->lo & ~(PAGE - 1), above = (o->hi + PAGE - 1) & ~(PAGE - 1), at;

	for (uintptr_t d = size; d < below - LOWEST && below > LOWEST && reaches(o, below - d, below); d += d / 2 & ~(PAGE - 1))
		if ((at = try_at(below - d, size)))
			return at;
	for (uintptr_t d = 64 * PAGE; reaches(o, above, above + d + size); d += d / 2 & ~(PAGE - 1))
		if ((at = try_at(above + d, size)))
			return at;
	return 0;
}

static struct area *area_for(const struct object *o, size_t size)
{
	unsigned n = atomic_load_explicit(&nareas, memory_order_relaxed);
	size_t whole = size > AREA_SIZE ? size : AREA_SIZE;
	uintptr_t at;

	for (unsigned i = 0; i < n; i++)
		if (areas[i].hi - areas[i].free >= size && reaches(o, areas[i].lo, areas[i].hi))
			return &areas[i];
	if (n == AREAS || !(at = find_place(o, whole)))
		return NULL;
	areas[n] = (struct area){at, at + whole, at};
	/* release: pairs with the acquire in tramparea_contains */
	atomic_store_explicit(&nareas, n + 1, memory_order_release);
	return &areas[n];
}

uintptr_t tramparea_take(const struct object *o, size_t size)
{
	size_t pages = (size + PAGE - 1) & ~(PAGE - 1);
	struct area *a = area_for(o, pages);
	uintptr_t at;

	if (!a)
		return 0;
	at = a->free;
	if (raw_protect((void *)at, pages, PROT_READ | PROT_WRITE) != 0)
		return 0;
	a->free += pages;
	return at;
}

int tramparea_seal(uintptr_t at, size_t size, size_t used)
{
	size_t pages = (size + PAGE - 1) & ~(PAGE - 1), keep = (used + PAGE - 1) & ~(PAGE - 1);
	int err = keep ? raw_protect((void *)at, keep, PROT_READ | PROT_EXEC) : 0;

	if (err)
		return err;
	if (keep == pages)
		return 0;
	for (unsigned i = 0; i < nareas; i++)
		if (areas[i].free == at + pages)
			areas[i].free = at + keep;
	return raw_protect((void *)(at + keep), pages - keep, PROT_NONE);
}

bool tramparea_contains(uintptr_t ip)
{
	/* acquire: pairs with the release in area_for */
	unsigned n = atomic_load_explicit(&nareas, memory_order_acquire);

	for (unsigned i = 0; i < n; i++)
		if (ip >= areas[i].lo && ip < areas[i].hi)
			return true;
	return false;
}
