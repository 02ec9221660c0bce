/* boundary.c - where instructions begin in a function: decoded from its start, once, as far as somebody asked.
 *
 * The questions for one site come in dozens, all about its function and the one next to it, so the answers are kept:
 * a bit for each byte of the last few functions. Functions beyond BITS_SMALL get a mapping for their bits.
 */
#include "boundary.h"

#include <limits.h>
#include <string.h>

#include "decode.h"
#include "rawmem.h"

#define FUNCTIONS 4
#define BITS_SMALL (32u << 10)

static struct function {
	struct bounds fn;
	uintptr_t known; /* instructions are known up to here, where one begins; 0 if the entry is free */
	bool stuck;	 /* what is at `known` is no instruction */
	uint64_t *bits;
	size_t mapped;
	uint64_t small[BITS_SMALL / 64];
} functions[FUNCTIONS];
static unsigned next_free;

static void forget(struct function *f)
{
	if (f->mapped)
		raw_unmap(f->bits, f->mapped);
	f->mapped = 0;
	f->known = 0;
}

void boundary_reset(void)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		forget(&functions[i]);
}

static void mark(struct function *f, uintptr_t addr)
{
	size_t bit = addr - f->fn.lo;

	f->bits[bit / 64] |= 1ull << bit % 64;
}

static bool marked(const struct function *f, uintptr_t addr)
{
	size_t bit = addr - f->fn.lo;

	return f->bits[bit / 64] >> bit % 64 & 1;
}

static struct function *function_new(const struct bounds *fn)
{
	struct function *f = &functions[next_free++ % FUNCTIONS];
	size_t size = ((fn->hi - fn->lo) / 64 + 1) * sizeof *f->bits;

	forget(f);
	f->bits = f->small;
	if (size > sizeof f->small) {
		f->bits = raw_map(size, 0);
		if (!f->bits)
			return NULL;
		f->mapped = size;
	} else {
		memset(f->bits, 0, size);
	}
	f->fn = *fn;
	f->stuck = false;
	f->known = fn->lo;
	mark(f, fn->lo);
	return f;
}

static struct function *function_of(const struct bounds *fn)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (functions[i].known && !memcmp(&functions[i].fn, fn, sizeof *fn))
			return &functions[i];
	return function_new(fn);
}

/* One that is known and has addr for certain: behind its mark there may be another function. */
static struct function *function_with(uintptr_t addr)
{
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct function *f = &functions[i];
		if (f->known && addr >= f->fn.lo && addr < (f->fn.mark ? f->fn.mark : f->fn.hi))
			return f;
	}
	return NULL;
}

static bool begins_at(struct function *f, uintptr_t addr)
{
	while (f->known < addr && !f->stuck) {
		unsigned len = decode_length(f->known, f->fn.hi);
		uintptr_t next = f->known + len;

		f->stuck = !len || (f->known < f->fn.mark && next > f->fn.mark);
		if (f->stuck)
			break;
		f->known = next;
		if (next < f->fn.hi)
			mark(f, next);
	}
	return addr < f->fn.hi && marked(f, addr);
}

bool boundary_is(const struct object *o, uintptr_t addr)
{
	struct function *f = function_with(addr);
	struct bounds fn;

	if (!f) {
		if (!function_bounds(o, addr, true, &fn))
			return true;
		f = function_of(&fn);
	}
	return !f || begins_at(f, addr);
}

unsigned boundary_before(const struct bounds *fn, uintptr_t addr, uintptr_t *last, unsigned max)
{
	struct function *f = function_of(fn);
	unsigned n = 0;

	if (!f || !begins_at(f, addr))
		return UINT_MAX;
	for (uintptr_t p = addr; p > fn->lo && n < max;)
		if (marked(f, --p))
			last[n++] = p;
	return n;
}
