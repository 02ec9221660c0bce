/* objtab.c - the table of loaded code.
 *
 * Signal handlers look things up while another thread loads a library, so the table changes under a version number: who
 * finds it odd or changed has found nothing, and that one stack ends early. An array that became too small is left
 * behind, as a reader may be in it; each is twice the size of the one before.
 */
#include "objtab.h"
#include "runtime.h"

#define FIRST 256

struct objtab objtab;

static int read_self(void *ctx, void *to, uintptr_t from, size_t n)
{
	(void)ctx;
	if (likely(n == 8))
		return arch_user_load64((const void *)from, to);
	return arch_user_copy(to, (const void *)from, n);
}

static bool find_self(void *ctx, uintptr_t pc, struct unwind_object *o)
{
	(void)ctx;
	return objtab_find(pc, o);
}

static struct unwind_cache cache;
struct unwind_space unwind_self = { read_self, find_self, NULL, &cache, 0 };

/* Few, and mostly in order: insertion. */
static void sort(struct unwind_object *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct unwind_object x = v[i];
		uint32_t k = i;
		for (; k > 0 && v[k - 1].lo > x.lo; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

void objtab_set(struct unwind_object *v, uint32_t n)
{
	sort(v, n);
	struct unwind_object *to = load_rlx(&objtab.v);
	if (n > objtab.cap) {
		uint32_t cap = objtab.cap ? objtab.cap : FIRST;
		while (cap < n)
			cap *= 2;
		to = os_mmap(cap * sizeof(*to));
		if (!to)
			return;
		objtab.cap = cap;
	}
	uint32_t version = load_rlx(&objtab.version);
	store_rlx(&objtab.version, version + 1);
	atomic_thread_fence(memory_order_seq_cst); /* the odd number is seen before any of the changes */
	for (uint32_t i = 0; i < n; i++)
		to[i] = v[i];
	store_rel(&objtab.v, to);
	store_rlx(&objtab.n, n);
	/* The rules in the cache may be those of code that was unloaded. */
	atomic_fetch_add(&unwind_self.generation, 1);
	store_rel(&objtab.version, version + 2);
}

bool objtab_find(uintptr_t pc, struct unwind_object *o)
{
	uint32_t version = load_acq(&objtab.version); /* acquire: pairs with the release in objtab_set */
	if (version & 1)
		return false;
	struct unwind_object *v = load_acq(&objtab.v);
	bool found = unwind_find_in(v, load_rlx(&objtab.n), pc, o);
	atomic_thread_fence(memory_order_acquire);
	return load_rlx(&objtab.version) == version && found;
}
