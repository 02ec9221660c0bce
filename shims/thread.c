/* thread.c - a thread's life and identity: exit, ids, robust list, exec, FS, rseq. */
#include "../runtime/ending.h"
#include "../runtime/gs.h"
#include "shim.h"
#include <asm/prctl.h>

#define TASK_SIZE_MAX ((1UL << 47) - 4096)

long shim_exit(struct regs *r)
{
	thread_exit((int)A1(r) & 0xff);
}

long shim_exit_group(struct regs *r)
{
	stats_print();
	process_ending();
	return shim_raw(r);
}

static long exec(struct regs *r)
{
	struct g *g = getg();
	bool watched = robust_exec_begin();
	sig_before_exec(g);
	struct identity before;
	ident_before_exec(r, &before);
	long ret = shim_raw(r);
	if (unlikely(before.recorded))
		ident_apply(&before);
	if (watched)
		robust_exec_failed();
	sig_after_exec_failed(g);
	return ret;
}

long shim_execve(struct regs *r)
{
	return exec(r);
}

long shim_execveat(struct regs *r)
{
	return exec(r);
}

long shim_gettid(struct regs *r)
{
	(void)r;
	return getg()->tid;
}

long shim_set_tid_address(struct regs *r)
{
	struct g *g = getg();
	g->clear_tid = A1(r);
	return g->tid;
}

struct robust_head {
	uintptr_t next;
	int64_t offset;
	uintptr_t pending;
};

long shim_set_robust_list(struct regs *r)
{
	struct g *g = getg();
	if (A2(r) != sizeof(struct robust_head))
		return -EINVAL;
	g->robust_list = A1(r);
	/* Locks shared with other processes: when the process is killed, the kernel releases those of its first thread, the
	 * one whose id it knows. */
	return g->tid == (uint32_t)getm()->procid ? shim_raw(r) : 0;
}

long shim_get_robust_list(struct regs *r)
{
	struct g *g = A1(r) ? g_by_tid((uint32_t)A1(r)) : getg();
	size_t len = sizeof(struct robust_head);
	if (!g)
		return shim_raw(r);
	if (user_write(A2(r), &g->robust_list, sizeof(g->robust_list)) || user_write(A3(r), &len, sizeof(len)))
		return -EFAULT;
	return 0;
}

/* A restartable sequence belongs to a kernel thread; G's change theirs. glibc does without: activation took its main
 * thread's registration away, and new threads then do not ask. */
long shim_rseq(struct regs *r)
{
	(void)r;
	return -ENOSYS;
}

long shim_arch_prctl(struct regs *r)
{
	struct m *m = getm();
	struct g *g = m->curg;
	switch (A1(r)) {
	case ARCH_SET_FS: {
		long err = shim_raw(r);
		if (err == 0)
			g->fs = m->fs = A2(r);
		return err;
	}
	case ARCH_GET_FS:
		return user_write(A2(r), &g->fs, sizeof(g->fs)) ? -EFAULT : 0;
	case ARCH_SET_GS:
		if (A2(r) >= TASK_SIZE_MAX || !gs_share())
			return -EPERM;
		g->gs = A2(r);
		return 0;
	case ARCH_GET_GS:
		return user_write(A2(r), &g->gs, sizeof(g->gs)) ? -EFAULT : 0;
	default:
		return shim_raw(r);
	}
}
