/* futexpi.c - priority-inheritance futexes in memory that is shared with other processes.
 *
 * The kernel's own operations are of no use: they want the id of a kernel thread in the word, and the C library puts the
 * id of a thread there. There is nothing to inherit (priorities of G's are recorded, not applied), so the word is
 * taken and freed here, and who must wait does so by a plain FUTEX_WAIT in the kernel. Waiters of all processes that
 * run under preloom meet there; a process that does not cannot share such a lock with one that does.
 *
 * FUTEX_WAITERS stays set for whoever takes the lock after a wait, since others may wait too: at worst one wake-up
 * finds nobody. An owner in a process that was killed is not noticed: its id says nothing about it here.
 */
#include "../runtime/futex.h"
#include "shim.h"
#include <linux/futex.h>

/* Until the word is no longer v. */
static long wait_in_kernel(struct g *g, uintptr_t addr, uint32_t v, int64_t deadline)
{
	struct ktimespec ts = { deadline / NSEC_PER_SEC, deadline % NSEC_PER_SEC };
	const long a[6] = { (long)addr, FUTEX_WAIT_BITSET, v, deadline ? (long)&ts : 0, 0, FUTEX_BITSET_MATCH_ANY };
	long ret = blocking_syscall_long(g, __NR_futex, a);
	return ret == -EAGAIN ? 0 : ret;
}

long futex_lock_pi_shared(struct g *g, uintptr_t addr, int64_t deadline, bool try)
{
	uint32_t waited = 0, v;
	for (;;) {
		long r = futex_pi_take(addr, g->tid | waited, !try, &v);
		if (r != 0)
			return r == 1 ? 0 : r;
		if (try)
			return -EAGAIN;
		r = wait_in_kernel(g, addr, v, deadline);
		if (r < 0)
			return r;
		waited = FUTEX_WAITERS;
	}
}

long futex_unlock_pi_shared(struct g *g, uintptr_t addr)
{
	uint32_t v;
	int r = arch_user_load32((const void *)addr, &v);
	while (r == 0) {
		if ((v & FUTEX_TID_MASK) != g->tid)
			return -EPERM;
		r = arch_user_cmpxchg32((void *)addr, &v, 0);
	}
	if (r < 0)
		return r;
	if (v & FUTEX_WAITERS)
		os_futex_wake_shared(addr, 1);
	return 0;
}
