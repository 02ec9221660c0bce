/* proftab.c - the tables of the profiles: stacks, threads, counters.
 *
 * All are arrays of fixed size with open addressing; a place is claimed by CAS of its key and never given up while the
 * process lives, so handlers, M's and a tool outside use them without a lock and without waiting: who claims a place fills
 * it in, all others only need its number. Equal stacks are told by a 64-bit hash alone. What finds no place within a few
 * probes is counted as lost.
 *
 * The memory is reserved at the first start of a profile; only what is used is touched.
 */
#include "prof.h"
#include "runtime.h"
#include "unwind.h"

#define PROBES 64

struct prof prof;

static bool make_shared(void)
{
	if (load_acq(&prof.stacks))
		return true;
	if (!prof.words)
		prof.words = os_reserve(PROF_WORDS * sizeof(*prof.words));
	if (!prof.labels)
		prof.labels = os_reserve(PROF_LABELS * sizeof(*prof.labels));
	struct prof_stack *s = os_reserve(PROF_STACKS * sizeof(*s));
	if (!s || !prof.words || !prof.labels)
		return false;
	store_rel(&prof.stacks, s);
	return true;
}

bool prof_tables(enum prof_type t)
{
	if (!make_shared())
		return false;
	if (!load_rlx(&prof.kind[t].bucket))
		store_rel(&prof.kind[t].bucket, os_reserve(PROF_BUCKETS * sizeof(struct prof_bucket)));
	return load_rlx(&prof.kind[t].bucket) != NULL;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

/* Claims or finds a key. 1: it was there; 2: it is new; 0: neither. */
static int claim(_Atomic uint64_t *at, uint64_t key)
{
	uint64_t was = load_rlx(at);
	if (was == key)
		return 1;
	if (was)
		return 0;
	if (atomic_compare_exchange_strong(at, &was, key))
		return 2;
	return was == key;
}

/* --- stacks --- */

static void fill_stack(struct prof_stack *s, const uintptr_t *pc, uint32_t n)
{
	uint32_t at = atomic_fetch_add_explicit(&prof.nwords, n, memory_order_relaxed);
	if (at > PROF_WORDS - n) {
		atomic_fetch_sub_explicit(&prof.nwords, n, memory_order_relaxed);
		return; /* a stack without frames from now on */
	}
	for (uint32_t i = 0; i < n; i++)
		prof.words[at + i] = pc[i];
	store_rlx(&s->n, n);
	store_rel(&s->at, at + 1);
}

static uint32_t find_stack(const uintptr_t *pc, uint32_t n)
{
	struct prof_stack *table = load_acq(&prof.stacks);
	uint64_t h = n;
	for (uint32_t i = 0; i < n; i++)
		h = mix(h ^ pc[i]);
	h |= 1; /* 0 means free */
	for (uint32_t i = 0, at = (uint32_t)(h >> 40); i < PROBES; i++, at++) {
		struct prof_stack *s = &table[at % PROF_STACKS];
		int got = claim(&s->key, h);
		if (got == 2)
			fill_stack(s, pc, n);
		if (got)
			return at % PROF_STACKS + 1;
	}
	return 0;
}

uint32_t prof_stack_of(struct unwind *u, bool skip_ours)
{
	uintptr_t pc[PROF_DEPTH];
	uint32_t n = 0;
	do {
		uintptr_t at = unwind_pc(u);
		if (skip_ours && n == 0 && at >= preloom_inspect.text_lo && at < preloom_inspect.text_hi)
			continue;
		pc[n++] = at;
	} while (n < PROF_DEPTH && unwind_step(u));
	return find_stack(pc, n);
}

/* --- labels --- */

static struct prof_label *find_label(uint64_t key, uint32_t *place, bool *is_new)
{
	for (uint32_t i = 0, at = (uint32_t)(mix(key) >> 40); i < PROBES; i++, at++) {
		struct prof_label *l = &prof.labels[at % PROF_LABELS];
		int got = claim(&l->key, key);
		if (!got)
			continue;
		*is_new = got == 2;
		*place = at % PROF_LABELS + 1;
		return l;
	}
	return NULL;
}

uint32_t prof_label_of(const struct g *g)
{
	uint32_t place;
	bool is_new;
	struct prof_label *l = find_label(g->goid, &place, &is_new);
	if (!l)
		return 0;
	if (is_new) {
		l->goid = g->goid;
		l->entry = g->entry;
		l->tid = g->tid;
	}
	/* The latest name. */
	for (int i = 0; i < 2; i++) {
		uint64_t w;
		__builtin_memcpy(&w, g->name + 8 * i, 8);
		if (load_rlx(&l->name[i]) != w)
			store_rlx(&l->name[i], w);
	}
	if (is_new)
		store_rel(&l->ready, 1);
	return place;
}

uint32_t prof_label_of_entry(uintptr_t entry)
{
	uint32_t place;
	bool is_new;
	struct prof_label *l = find_label((uint64_t)entry | 1ULL << 63, &place, &is_new);
	if (l && is_new) {
		l->entry = entry;
		store_rel(&l->ready, 1);
	}
	return l ? place : 0;
}

/* --- counters --- */

static struct prof_bucket *find_bucket(struct prof_kind *k, uint64_t key, bool may_claim)
{
	struct prof_bucket *table = load_acq(&k->bucket);
	for (uint32_t i = 0, at = (uint32_t)(mix(key) >> 40); table && i < PROBES; i++, at++) {
		struct prof_bucket *b = &table[at % PROF_BUCKETS];
		if (load_rlx(&b->key) == key)
			return b;
		if (!may_claim && !load_rlx(&b->key))
			return NULL;
		int got = may_claim ? claim(&b->key, key) : 0;
		if (got == 2)
			atomic_fetch_add_explicit(&k->nbuckets, 1, memory_order_relaxed);
		if (got)
			return b;
	}
	return NULL;
}

/* With very many threads the last quarter of the table is for what they do all together. */
struct prof_bucket *prof_bucket_of(enum prof_type t, uint32_t stack, uint32_t label, uint32_t state)
{
	struct prof_kind *k = &prof.kind[t];
	struct prof_bucket *b = NULL;
	if (stack)
		b = find_bucket(k, PROF_KEY(stack, label, state), load_rlx(&k->nbuckets) < PROF_BUCKETS / 4 * 3);
	if (stack && !b)
		b = find_bucket(k, PROF_KEY(stack, 0, state), true);
	if (!b)
		atomic_fetch_add_explicit(&k->lost, 1, memory_order_relaxed);
	return b;
}

void prof_count(enum prof_type t, uint32_t stack, uint32_t label, uint32_t state, uint64_t count, uint64_t value)
{
	struct prof_bucket *b = prof_bucket_of(t, stack, label, state);
	if (!b)
		return;
	atomic_fetch_add_explicit(&b->count, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->value, value, memory_order_relaxed);
}
