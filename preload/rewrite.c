/* rewrite.c - goes over the loaded objects and rewrites what has not been seen yet.
 *
 * For one object: find the byte pairs of syscalls (scan), drop what is certainly not needed, plan the others in the order of
 * their addresses (site), lay out their trampolines (tramp), and only when all is decided write the jumps in one go
 * (patch). libc and ld.so come first. An object is known again by where it lies and what is there; if anything was
 * unloaded since, the bytes of its jumps are looked at too, because another one may have been loaded at the same place.
 */
#include "rewrite.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "arch/x86_64/scan.h"
#include "arch/x86_64/site.h"
#include "arch/x86_64/tramp.h"
#include "boundary.h"
#include "decode.h"
#include "findlocks.h"
#include "object.h"
#include "patch.h"
#include "rawmem.h"
#include "sites.h"
#include "tramparea.h"

#define SLOT_SIZE 16
#define SCRATCH_MIN 32768 /* enough for most objects; what is not used is address space only */
#define TEXT_PER_SITE 256 /* room for addresses: one per so many bytes of text */

static struct rewrite_config config;
static unsigned long long seen_subs;

/* Scratch memory for one text segment; kept from one object to the next. */
static struct scratch {
	uintptr_t *raw, *far;
	size_t nraw, cap, size;
} scratch[OBJECT_SEGMENTS];

int rewrite_init(const struct rewrite_config *c)
{
	config = *c;
	return decode_init();
}

static void scratch_drop(struct scratch *s)
{
	if (s->raw)
		raw_unmap(s->raw, s->size);
	*s = (struct scratch){0};
}

static int scratch_get(struct scratch *s, const struct segment *seg)
{
	size_t cap = (seg->hi - seg->lo) / TEXT_PER_SITE + SCRATCH_MIN;

	s->nraw = 0;
	if (cap <= s->cap)
		return 0;
	scratch_drop(s);
	s->size = 2 * cap * sizeof *s->raw;
	s->raw = raw_map(s->size, MAP_NORESERVE);
	if (!s->raw)
		return -ENOMEM;
	s->cap = cap;
	s->far = s->raw + cap;
	return 0;
}

static void plan_segment(const struct object *o, const struct segment *seg, struct scratch *s, struct table *t, struct plan *plans)
{
	struct scope scope = {.o = o, .text = seg, .sites = s->raw, .nsites = s->nraw, .far = s->far, .cap = s->cap,
			      .served = config.served};
	uintptr_t floor = seg->lo;

	boundary_reset();
	for (size_t i = 0; i < s->nraw; i++) {
		struct plan *p = &plans[t->n];
		int nr;

		if (!site_is_candidate(seg->lo, s->raw[i], config.served, &nr)) {
			*p = (struct plan){s->raw[i], s->raw[i], s->raw[i] + 2, nr, SITE_NOT_NEEDED, nr == 15 ? REASON_SIGRETURN : REASON_NONE};
			t->n++;
			continue;
		}
		if (!site_plan(&scope, s->raw[i], floor, p))
			continue;
		if (p->state == SITE_REWRITTEN)
			floor = p->post_end;
		t->n++;
	}
}

static void fill_site(struct site *s, const struct plan *p)
{
	*s = (struct site){.addr = p->addr, .next = p->addr + 2, .span = p->addr, .span_end = p->addr + 2, .nr = p->nr, .state = p->state,
			   .reason = p->reason};
}

static void refuse(struct site *s, enum site_reason why)
{
	struct plan p = {s->addr, s->addr, s->next, s->nr, SITE_REFUSED, why};
	uintptr_t ret = s->ret; /* the table stays sorted */

	fill_site(s, &p);
	s->ret = ret;
}

/* Lays out the trampolines of all sites. Sites without one get the return address of the site before, so that the
 * table is sorted by it as well. */
static void emit_all(const struct object *o, struct table *t, const struct plan *plans)
{
	void *entry = o->kind == OBJECT_LIBC || o->kind == OBJECT_LDSO ? config.entry : config.entry_full;
	size_t want = 0, size, used = SLOT_SIZE;
	uintptr_t at;

	for (size_t i = 0; i < t->n; i++)
		want += plans[i].state == SITE_REWRITTEN;
	size = SLOT_SIZE + want * TRAMP_MAX;
	at = want ? tramparea_take(o, size) : 0;
	if (at)
		memcpy((void *)at, &entry, sizeof entry);
	for (size_t i = 0; i < t->n; i++) {
		struct site *s = &t->site[i];
		size_t n = 0;

		fill_site(s, &plans[i]);
		if (s->state == SITE_REWRITTEN) {
			if (at)
				n = tramp_emit(at + used, at, &plans[i], s);
			if (!n)
				refuse(s, REASON_NO_ROOM);
			used += (n + TRAMP_ALIGN - 1) & ~(size_t)(TRAMP_ALIGN - 1);
		}
		if (!s->tramp)
			s->ret = i ? s[-1].ret : 0;
	}
	if (!at)
		return;
	t->tramp = at;
	t->tramp_end = at + used;
	if (tramparea_seal(at, size, used) != 0)
		for (size_t i = 0; i < t->n; i++)
			if (t->site[i].tramp)
				refuse(&t->site[i], REASON_NO_ROOM);
}

static int patch_segments(const struct object *o, struct table *t)
{
	int n = 0;

	for (unsigned k = 0; k < o->ntext; k++) {
		if (patch_sites(&o->text[k], t->site, t->n) == 0)
			continue;
		for (size_t i = 0; i < t->n; i++)
			if (t->site[i].tramp && object_text(o, t->site[i].span) == &o->text[k])
				refuse(&t->site[i], REASON_NOT_WRITABLE);
	}
	for (size_t i = 0; i < t->n; i++)
		n += t->site[i].state == SITE_REWRITTEN;
	return n;
}

static size_t scan_object(const struct object *o, struct scratch *s)
{
	size_t total = 0;
	bool wrgsbase = false;

	for (unsigned k = 0; k < o->ntext; k++) {
		if (scratch_get(&s[k], &o->text[k]) != 0)
			continue;
		s[k].nraw = scan_syscalls(o->text[k].lo, o->text[k].hi, s[k].raw, s[k].cap, &wrgsbase);
		total += s[k].nraw;
	}
	if (wrgsbase && config.wrgsbase)
		config.wrgsbase();
	return total;
}

/* Of libc's first segment: it has one. */
static void find_locks(const struct object *o, const struct table *t)
{
	size_t cap = t->n * 2;
	uintptr_t *at = config.locks && o->kind == OBJECT_LIBC && o->ntext ? raw_map(cap * sizeof *at, 0) : NULL;

	if (at)
		config.locks(at, findlocks(o, t->site, t->n, at, cap), &o->text[0]);
}

static void look_for_unseen(const struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (config.unseen && findlocks_unseen(&t->site[i]))
			config.unseen();
}

static int rewrite_sites(const struct object *o, struct table *t, struct scratch *s, size_t total)
{
	size_t size = total * sizeof(struct plan);
	struct plan *plans = raw_map(size, 0);
	int n;

	if (!plans)
		return -ENOMEM;
	for (unsigned k = 0; k < o->ntext; k++)
		plan_segment(o, &o->text[k], &s[k], t, plans);
	emit_all(o, t, plans);
	raw_unmap(plans, size);
	find_locks(o, t);
	n = patch_segments(o, t);
	look_for_unseen(t);
	return n;
}

int rewrite_object(const struct object *o)
{
	size_t total = scan_object(o, scratch);
	struct table *t = table_new(o, total);
	int n = t ? 0 : -ENOMEM;

	if (t && total)
		n = rewrite_sites(o, t, scratch, total);
	if (n < 0 && t)
		table_free(t);
	else if (t)
		table_publish(t);
	return n;
}

/* Is what was rewritten still there, if the addresses are the same? */
static bool still_patched(const struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		uint8_t jump[JUMP_SIZE];

		if (!t->site[i].tramp)
			continue;
		jump_encode(jump, t->site[i].span, t->site[i].tramp);
		return memcmp((const void *)t->site[i].span, jump, JUMP_SIZE) == 0;
	}
	return true;
}

static bool same_place(const struct object *a, const struct object *b)
{
	return a->base == b->base && a->lo == b->lo && a->hi == b->hi && a->dynamic == b->dynamic && !strcmp(a->name, b->name);
}

static bool is_known(const struct object *o, bool unloaded)
{
	for (struct table *t = table_first(); t; t = table_next(t))
		if (atomic_load_explicit(&t->live, memory_order_relaxed) && same_place(&t->object, o))
			return !unloaded || still_patched(t);
	return false;
}

static void retire_gone(const struct object_list *l)
{
	for (struct table *t = table_first(); t; t = table_next(t)) {
		bool there = false;

		for (size_t i = 0; i < l->n; i++)
			there |= same_place(&t->object, &l->v[i]) && still_patched(t);
		if (!there)
			atomic_store_explicit(&t->live, false, memory_order_relaxed);
	}
}

static int rewrite_kind(const struct object_list *l, enum object_kind kind, bool unloaded)
{
	int total = 0;

	for (size_t i = 0; i < l->n; i++) {
		int n;

		if (l->v[i].kind != kind || is_known(&l->v[i], unloaded))
			continue;
		n = rewrite_object(&l->v[i]);
		if (n < 0)
			return n;
		total += n;
	}
	return total;
}

static int rewrite_list(const struct object_list *l)
{
	static const enum object_kind order[] = {OBJECT_LIBC, OBJECT_LDSO, OBJECT_OTHER};
	int total = 0, n = 0;
	size_t k;

	if (l->subs != seen_subs)
		retire_gone(l);
	for (k = 0; k < sizeof order / sizeof *order && n >= 0; k++) {
		n = rewrite_kind(l, order[k], l->subs != seen_subs);
		total += n > 0 ? n : 0;
	}
	for (k = 0; k < OBJECT_SEGMENTS; k++)
		scratch_drop(&scratch[k]);
	seen_subs = l->subs;
	return n < 0 ? n : total;
}

/* The list takes ld.so's lock, and a G may have to wait for that: signals are blocked only from then on. */
int rewrite_all(void)
{
	struct object_list l;
	unsigned long long all = ~0ull, old;
	int n = object_list_get(&l);

	if (n)
		return n;
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof all);
	n = rewrite_list(&l);
	if (config.changed)
		config.changed(&l);
	sys4(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, sizeof old);
	object_list_free(&l);
	return n;
}
