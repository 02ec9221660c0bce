/* gs.c - programs that use the GS register themselves.
 *
 * While preloom's code runs, GS finds the M. A program that wants GS for itself (Wine, qemu's user mode, WebAssembly in
 * Firefox) can have it, at a price: from when that is known (an object with a `wrgsbase` is mapped, or ARCH_SET_GS is
 * called) GS is exchanged at every crossing. g->gs is what the program has there while preloom's code runs on the G.
 *
 *     in      shim_dispatch, sig_return: gs_enter; sigentry: gs_enter_handler
 *     out     arch_leave, arch_sig_commit; the end of sigentry: gs_leave_handler
 *
 * On the way in the kernel says which thread this is, and a table of thread ids says which M: nothing else is certain, FS least
 * of all, for the program may change that too. What is no M's is a kernel thread of the program's own making, and keeps its GS.
 *
 * A G that is in the program's code when it becomes known has the M in GS still; that is taken for a GS that it never
 * touched. Rejected: exchanging always; it is a system call and 20 ns more for each crossing.
 */
#include "gs.h"
#include "runtime.h"
#include <asm/errno.h>
#include <linux/mman.h>

#define TIDS (1u << 22) /* the kernel's PID_MAX_LIMIT */

static struct m *_Atomic *_Atomic by_tid; /* address space; few pages of it are ever touched */

static void add_locked(struct m *m)
{
	struct m *_Atomic *t = load_rlx(&by_tid);
	if (t && m->procid)
		store_rel(&t[(uint32_t)m->procid % TIDS], m);
}

void gs_add_m(struct m *m)
{
	lock(&sched.lock);
	add_locked(m);
	unlock(&sched.lock);
}

void gs_remove_m(struct m *m)
{
	struct m *_Atomic *t = load_acq(&by_tid);
	if (t)
		store_rel(&t[(uint32_t)m->procid % TIDS], NULL);
}

void gs_after_fork(struct m *m)
{
	struct m *_Atomic *t = load_rlx(&by_tid);
	if (t)
		os_madvise(t, TIDS * sizeof(*t), MADV_DONTNEED);
	add_locked(m);
}

bool gs_share(void)
{
	if (arch_gs_shared)
		return true;
	if (!arch_has_fsgsbase)
		return false;
	struct m *_Atomic *t = os_reserve(TIDS * sizeof(*t));
	if (!t)
		return false;
	lock(&sched.lock);
	if (!load_rlx(&by_tid)) {
		store_rel(&by_tid, t);
		t = NULL;
		for (struct m *m = sched.allm; m; m = m->alllink)
			add_locked(m);
	}
	unlock(&sched.lock);
	if (t)
		os_munmap(t, TIDS * sizeof(*t));
	arch_gs_shared = 1;
	return true;
}

struct m *gs_m(void)
{
	if (!arch_gs_shared)
		return arch_get_gs() ? getm() : NULL;
	return load_acq(&by_tid[(uint32_t)os_gettid() % TIDS]);
}

bool gs_enter(void)
{
	struct m *m = gs_m();
	if (!m)
		return false;
	uintptr_t gs = arch_get_gs();
	if (gs != (uintptr_t)m) {
		if (m->curg)
			m->curg->gs = gs;
		arch_set_gs(m);
	}
	return true;
}

uintptr_t gs_enter_handler(void)
{
	uintptr_t gs = arch_get_gs();
	gs_enter();
	return gs;
}

void gs_leave_handler(uintptr_t before, bool to_program)
{
	struct m *m = gs_m();
	arch_set_gs(m && m->curg && to_program ? (void *)m->curg->gs : (void *)before);
}
