/* robust.c - locks whose owner ends: each G's robust list, as the kernel's exit_robust_list walks a thread's.
 *
 * A G that ends walks its own. When the process ends, the kernel would walk the lists of all threads, but it knows
 * neither the G's nor their ids: so who ends it does (ending.c), without a lock of the runtime. A process that is killed
 * by the kernel does none of this: only the main thread's locks are released then, whose list and id the kernel knows.
 */
#include "ending.h"
#include "futex.h"

static void wake_one(uintptr_t word)
{
	if (!ending_begun()) /* else waiters of this process end too */
		futex_wake(word, 1, ~0u);
	os_futex_wake_shared(word, 1);
}

static void robust_release(struct g *g, uintptr_t word, bool pi, bool pending)
{
	uint32_t v;
	if (arch_user_load32((void *)word, &v))
		return;
	/* It may have ended between freeing the lock and waking who waits for it. */
	if (pending && !pi && v == 0) {
		wake_one(word);
		return;
	}
	for (;;) {
		if ((v & 0x3fffffff) != g->tid)
			return;
		uint32_t dead = (v & 0x80000000) | 0x40000000; /* keep waiters, owner died */
		int r = arch_user_cmpxchg32((void *)word, &v, dead);
		if (r < 0)
			return;
		if (r == 1)
			break;
	}
	bool private = stack_contains(word) || !os_is_shared_memory(word);
	if (pi && !ending_begun() && private)
		futex_pi_owner_died(word);
	else if (v & 0x80000000)
		wake_one(word);
}

/* The kernel's exit_robust_list: every lock on the list gets FUTEX_OWNER_DIED and one waiter wakes. */
void robust_exit(struct g *g)
{
	struct {
		uintptr_t next;
		int64_t offset;
		uintptr_t pending;
	} head;
	uintptr_t list = g->robust_list;
	if (!list || arch_user_copy(&head, (void *)list, sizeof(head)))
		return;
	uintptr_t e = head.next;
	for (int limit = 2048; limit && (e & ~1UL) != list; limit--) {
		uintptr_t next;
		uintptr_t at = e & ~1UL;
		int err = arch_user_copy(&next, (void *)at, sizeof(next));
		if (at != (head.pending & ~1UL))
			robust_release(g, at + (uintptr_t)head.offset, e & 1, false);
		if (err)
			return;
		e = next;
	}
	if (head.pending)
		robust_release(g, (head.pending & ~1UL) + (uintptr_t)head.offset, head.pending & 1, true);
}

bool robust_holds(struct g *g)
{
	struct {
		uintptr_t next;
		int64_t offset;
		uintptr_t pending;
	} head;
	if (!g->robust_list || arch_user_copy(&head, (void *)g->robust_list, sizeof(head)))
		return false;
	return (head.next & ~1UL) != g->robust_list || head.pending;
}

/* The process ends; nothing else runs any more. */
void robust_exit_all(void)
{
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		enum gstatus s = g ? load_acq(&g->status) : Gdead;
		if (s != Gdead && s != Gidle)
			robust_exit(g);
	}
}
