/* unwind_cache.c - rules that were worked out before.
 *
 * Direct-mapped by the address. An entry is written under a sequence number that is odd meanwhile; whoever finds it odd or
 * changed takes that for a miss, so neither readers nor writers ever wait: a signal handler may interrupt both. What is
 * kept is packed into three words.
 */
#include "unwind.h"

_Static_assert(UNWIND_SAVED == 6, "six halves are packed below");

static struct unwind_cached *entry_of(struct unwind_space *s, uintptr_t pc)
{
	uint64_t h = pc * 0x9e3779b97f4a7c15ULL;
	return &s->cache->v[h >> 52 & (UNWIND_CACHE - 1)];
}

static void pack(const struct unwind_rule *r, uint64_t w[3])
{
	uint64_t h[UNWIND_SAVED];
	for (int i = 0; i < UNWIND_SAVED; i++)
		h[i] = (uint16_t)r->saved[i];
	w[0] = (uint64_t)(uint32_t)r->cfa_off << 32 | (uint64_t)r->cfa_reg << 8 | r->kind;
	w[1] = h[0] | h[1] << 16 | h[2] << 32 | h[3] << 48;
	w[2] = h[4] | h[5] << 16;
}

static void unpack(const uint64_t w[3], struct unwind_rule *r)
{
	r->kind = (uint8_t)w[0];
	r->cfa_reg = (uint8_t)(w[0] >> 8);
	r->cfa_off = (int32_t)(w[0] >> 32);
	for (int i = 0; i < 4; i++)
		r->saved[i] = (int16_t)(w[1] >> 16 * i);
	r->saved[4] = (int16_t)w[2];
	r->saved[5] = (int16_t)(w[2] >> 16);
}

bool unwind_cache_get(struct unwind_space *s, uintptr_t pc, struct unwind_rule *r)
{
	if (!s->cache)
		return false;
	struct unwind_cached *e = entry_of(s, pc);
	uint64_t w[3];
	uint32_t seq = load_acq(&e->seq); /* acquire: pairs with the release that makes it even */
	bool hit = load_rlx(&e->pc) == pc && load_rlx(&e->generation) == load_rlx(&s->generation);
	for (int i = 0; i < 3; i++)
		w[i] = load_rlx(&e->w[i]);
	atomic_thread_fence(memory_order_acquire);
	if (!hit || seq & 1 || load_rlx(&e->seq) != seq)
		return false;
	unpack(w, r);
	return r->kind != SimpleUnknown;
}

void unwind_cache_put(struct unwind_space *s, uintptr_t pc, uint32_t generation, const struct unwind_rule *r)
{
	if (!s->cache)
		return;
	struct unwind_cached *e = entry_of(s, pc);
	uint64_t w[3];
	uint32_t seq = load_rlx(&e->seq);
	/* acq_rel: what follows is not seen before the odd number */
	if (seq & 1 || !atomic_compare_exchange_strong_explicit(&e->seq, &seq, seq + 1, memory_order_acq_rel,
								memory_order_relaxed))
		return;
	atomic_thread_fence(memory_order_release);
	pack(r, w);
	store_rlx(&e->pc, pc);
	store_rlx(&e->generation, generation);
	for (int i = 0; i < 3; i++)
		store_rlx(&e->w[i], w[i]);
	store_rel(&e->seq, seq + 2);
}
