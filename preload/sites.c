/* sites.c - the tables of sites, and the lookups in them.
 *
 * One table per object holds its sites, sorted by address; since trampolines are laid out in the same order, a
 * binary search finds a site by either. Tables are appended to a list that only grows, libc's first; an object that
 * goes away leaves its table behind, not live. So readers, signal handlers among them, need no lock.
 */
#include "sites.h"

#include <string.h>

#include "arch/x86_64/tramp.h"
#include "rawmem.h"
#include "tramparea.h"

#define ROOM_SIZE (64ul << 10)
#define TABLE_ALIGN 64ul

static struct {
	char *at;
	size_t left;
} room;

static struct table *_Atomic head;
static struct table *tail;

/* Most objects have no site at all, and a large program has hundreds of objects: their tables share mappings. */
struct table *table_new(const struct object *o, size_t n)
{
	size_t size = (sizeof(struct table) + n * sizeof(struct site) + TABLE_ALIGN - 1) & ~(TABLE_ALIGN - 1ul);
	struct table *t;

	if (size > room.left) {
		size_t mapped = size > ROOM_SIZE ? (size + 4095) & ~4095ul : ROOM_SIZE;
		char *p = raw_map(mapped, 0);
		if (!p)
			return NULL;
		room.at = p;
		room.left = mapped;
	}
	t = (struct table *)room.at;
	room.at += size;
	room.left -= size;
	t->object = *o;
	t->size = size;
	return t;
}

/* The newest, which nobody has seen. */
void table_free(struct table *t)
{
	room.at = (char *)t;
	room.left += t->size;
	memset(t, 0, t->size);
}

void table_publish(struct table *t)
{
	if (t->n) {
		t->lo = t->site[0].span;
		t->hi = t->site[t->n - 1].next > t->site[t->n - 1].span_end ? t->site[t->n - 1].next : t->site[t->n - 1].span_end;
	}
	atomic_store_explicit(&t->live, true, memory_order_relaxed);
	/* release: pairs with the acquires in table_first and table_next */
	atomic_store_explicit(tail ? &tail->next : &head, t, memory_order_release);
	tail = t;
}

struct table *table_first(void)
{
	return atomic_load_explicit(&head, memory_order_acquire);
}

struct table *table_next(struct table *t)
{
	return atomic_load_explicit(&t->next, memory_order_acquire);
}

static bool is_live(struct table *t)
{
	return atomic_load_explicit(&t->live, memory_order_relaxed);
}

const struct site *site_of_ret(uintptr_t ret)
{
	for (struct table *t = table_first(); t; t = table_next(t)) {
		size_t lo = 0, hi = t->n;

		if (ret < t->tramp || ret >= t->tramp_end)
			continue;
		/* Sites without a trampoline have the `ret` of the one before: see emit_all in rewrite.c. */
		while (hi - lo > 1) {
			size_t mid = lo + (hi - lo) / 2;
			if (t->site[mid].ret <= ret)
				lo = mid;
			else
				hi = mid;
		}
		while (lo > 0 && !t->site[lo].tramp)
			lo--;
		return t->site[lo].tramp && t->site[lo].ret == ret ? &t->site[lo] : NULL;
	}
	return NULL;
}

/* The site whose trampoline has ip. */
static const struct site *site_of_tramp(uintptr_t ip)
{
	for (struct table *t = table_first(); t; t = table_next(t)) {
		size_t lo = 0, hi = t->n;

		if (ip < t->tramp || ip >= t->tramp_end)
			continue;
		while (hi - lo > 1) {
			size_t mid = lo + (hi - lo) / 2;
			if (t->site[mid].ret <= ip)
				lo = mid;
			else
				hi = mid;
		}
		/* Behind the return address of one, perhaps in what the next displaced. */
		while (hi < t->n && !t->site[hi].tramp)
			hi++;
		if (hi < t->n && ip >= t->site[hi].tramp)
			return &t->site[hi];
		while (lo > 0 && !t->site[lo].tramp)
			lo--;
		return t->site[lo].tramp && ip >= t->site[lo].tramp ? &t->site[lo] : NULL;
	}
	return NULL;
}

const struct site *site_of_addr(uintptr_t ip)
{
	for (struct table *t = table_first(); t; t = table_next(t)) {
		size_t lo = 0, hi = t->n;

		if (!t->n || ip < t->lo || ip > t->hi || !is_live(t))
			continue;
		while (hi - lo > 1) {
			size_t mid = lo + (hi - lo) / 2;
			if (t->site[mid].span <= ip)
				lo = mid;
			else
				hi = mid;
		}
		if (ip >= t->site[lo].span && (ip < t->site[lo].span_end || ip == t->site[lo].next))
			return &t->site[lo];
		if (lo > 0 && ip == t->site[lo - 1].next)
			return &t->site[lo - 1];
	}
	return NULL;
}

uintptr_t site_resume(uintptr_t ip)
{
	const struct site *s = site_of_addr(ip);
	uintptr_t copy;

	if (!s || !s->tramp || ip == s->span)
		return ip;
	copy = tramp_copy_of(s, ip);
	return copy ? copy : ip;
}

uintptr_t site_original(uintptr_t ip, uintptr_t *sp)
{
	const struct site *s = site_of_tramp(ip);

	return s ? tramp_original(s, ip, sp) : 0;
}

uintptr_t site_restart(const struct site *s)
{
	return s->tramp ? s->restart : s->addr;
}

bool tramp_contains(uintptr_t ip)
{
	return tramparea_contains(ip);
}

void rewrite_count(struct rewrite_counts *n)
{
	*n = (struct rewrite_counts){0};
	for (struct table *t = table_first(); t; t = table_next(t)) {
		if (!is_live(t))
			continue;
		n->objects++;
		n->sites += (unsigned)t->n;
		for (size_t i = 0; i < t->n; i++) {
			n->rewritten += t->site[i].state == SITE_REWRITTEN;
			n->not_needed += t->site[i].state == SITE_NOT_NEEDED;
			n->refused += t->site[i].state == SITE_REFUSED;
		}
	}
}
