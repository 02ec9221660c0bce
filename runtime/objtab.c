/* objtab.c - the table of loaded code.
 *
 * Signal handlers look things up while another thread loads a library, and tools stop the process in the middle of that. So
 * there are two arrays, each with its count beside it: the one that nobody is led to is filled, then one pointer is stored,
 * and whoever stops in between finds a whole table. A change after the next one fills an array that a slow reader may
 * still be in: that reader sees another version number then, has found nothing, and that one stack ends early. An array
 * that became too small is left behind for the same reader; each is twice the size that is needed.
 */
#include "objtab.h"
#include "runtime.h"

#define FIRST 256

static struct objview none;
struct objtab objtab = { .view = &none };
static struct objview *spare = &none;

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

static struct objview *with_room(struct objview *old, uint32_t n)
{
	if (n <= old->cap)
		return old;
	uint32_t cap = FIRST;
	while (cap < n)
		cap *= 2;
	struct objview *view = os_mmap(sizeof(*view) + cap * sizeof(view->v[0]));
	if (view)
		view->cap = cap;
	return view;
}

void objtab_set(struct unwind_object *v, uint32_t n)
{
	sort(v, n);
	struct objview *to = with_room(spare, n), *old = load_rlx(&objtab.view);
	if (!to)
		return;
	to->n = n;
	for (uint32_t i = 0; i < n; i++)
		to->v[i] = v[i];
	store_rel(&objtab.view, to); /* pairs with the acquire in objtab_find */
	spare = old;
	/* The rules in the cache may be those of code that was unloaded. */
	atomic_fetch_add(&unwind_self.generation, 1);
	store_rlx(&objtab.version, load_rlx(&objtab.version) + 1);
	atomic_thread_fence(memory_order_seq_cst); /* the number is seen before what the next change writes */
}

bool objtab_find(uintptr_t pc, struct unwind_object *o)
{
	uint32_t version = load_acq(&objtab.version);
	struct objview *view = load_acq(&objtab.view);
	bool found = unwind_find_in(view->v, view->n, pc, o);
	atomic_thread_fence(memory_order_acquire);
	return load_rlx(&objtab.version) == version && found;
}
