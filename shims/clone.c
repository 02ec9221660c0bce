/* clone.c - clone, clone3, fork, vfork: threads become G's, all else goes to the kernel.
 *
 * A process that shares our memory (posix_spawn's child, a bare clone with CLONE_VM) runs the same rewritten text as
 * we do. It gets a GS of its own that says "foreign": its calls pass straight to the kernel. Signals are blocked in
 * the parent's M around every clone, since the child starts with a copy of the M's state.
 */
#include "../runtime/futex.h"
#include "../runtime/netpoll.h"
#include "../runtime/smplocks.h"
#include "shim.h"
#include "sigimpl.h"
#include <asm/signal.h>
#include <linux/sched.h>

#define SET_SIGMASK 2
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

struct m foreign_m = { .self = &foreign_m, .foreign = 1 };

/* What a child that starts on its own stack finds there; arch_clone_child knows the layout. */
struct childframe {
	uint64_t mask;
	struct m *gs;
	struct regs regs;
};

/* What a child that is to be given something first finds there besides. */
struct firstframe {
	struct identity id;
	uint64_t cleared; /* it has no handlers */
	struct regs regs;
};

_Static_assert(sizeof(struct firstframe) == offsetof(struct firstframe, regs) + sizeof(struct regs), "regs_sp");

struct cloneargs {
	uint64_t flags, stack, stack_size, parent_tid, child_tid, tls;
};

static uint64_t block_signals(void)
{
	uint64_t all = ~0ULL, old;
	sys4(__NR_rt_sigprocmask, SET_SIGMASK, &all, &old, 8);
	return old;
}

static void restore_signals(uint64_t mask)
{
	sys4(__NR_rt_sigprocmask, SET_SIGMASK, &mask, 0, 8);
}

/* Who traces what has been forked so far is the only kernel thread there was: the main G's. */
static void before_thread(void)
{
	if (unlikely(rt_opt.tracer) && getg() == main_g)
		shim_wire("ptrace");
}

static long clone_thread(struct regs *r, const struct cloneargs *a)
{
	if ((a->flags & THREAD_FLAGS) != THREAD_FLAGS || a->flags & (CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND) || !a->stack)
		return -EINVAL;
	if (!sysmon_start())
		return -EAGAIN;
	before_thread();
	uintptr_t fs = a->flags & CLONE_SETTLS ? a->tls : getg()->fs;
	struct g *g = thread_new(r, a->stack + a->stack_size, fs, a->stack_size);
	if (!g)
		return -EAGAIN;
	if (unlikely(getg()->confined) && !lock_child(g)) {
		g_setstatus(g, Gidle, Gdead);
		g_free(g);
		return -EAGAIN;
	}
	if (unlikely(load_rlx(&getg()->recorded)))
		ident_inherit(g, getg());
	uint32_t tid = g->tid;
	if (!stack_bounds(a->stack + a->stack_size - 1, &g->stack_lo, &g->stack_hi) && a->stack_size) {
		g->stack_lo = a->stack;
		g->stack_hi = a->stack + a->stack_size;
	}
	if (!g->entry)
		g->entry = r->rdx;
	if (a->flags & CLONE_PARENT_SETTID)
		arch_user_store32((void *)a->parent_tid, tid);
	if (a->flags & CLONE_CHILD_SETTID)
		arch_user_store32((void *)a->child_tid, tid);
	if (a->flags & CLONE_CHILD_CLEARTID)
		g->clear_tid = a->child_tid;
	thread_start(g);
	return tid;
}

/* A call that copies the process, in the form (nr, a1…a5), and what stands around it. With CLONE_VFORK the M is gone until the
 * child execs or ends, so the runtime's locks cannot be held meanwhile; fork_child makes them anew. */
static long fork_call(struct regs *r, const struct clone_args *c, long nr, long a1, long a2, long a3, long a4, long a5)
{
	struct g *g = getg();
	bool vfork = c->flags & CLONE_VFORK;
	if (unlikely(rt_opt.tracer))
		shim_wire("ptrace");
	const struct identity id = ident_before_fork(g);
	m_forks();
	uint64_t mask = block_signals();
	if (vfork)
		entersyscall_block((int)r->rax);
	else
		fork_prepare();
	long pid = sys5(nr, a1, a2, a3, a4, a5);
	if (pid == 0) {
		fork_child(!vfork);
		cred_after_fork();
		ident_after_fork(g, &id);
		mask = sig_realmask(getm()); /* of the first kernel thread, which this one was not, perhaps */
	} else if (!vfork)
		fork_parent();
	restore_signals(mask); /* the mask is the M's, and exitsyscall may change that */
	if (pid != 0 && vfork)
		exitsyscall();
	if (pid == 0 && c->flags & CLONE_CHILD_CLEARTID)
		g->clear_tid = c->child_tid;
	return pid;
}

/* Who has a copy of the memory cannot share the handlers. With both flags about these the kernel says EINVAL. */
static uint64_t with_copy(uint64_t flags)
{
	bool both = flags & CLONE_VM && !(flags & CLONE_CLEAR_SIGHAND);
	return flags & ~(uint64_t)(both ? CLONE_VM | CLONE_SIGHAND : CLONE_VM);
}

/* fork: the child continues right here, on the same stack. */
static long fork_here(struct regs *r, const struct clone_args *c)
{
	uint64_t flags = with_copy(c->flags) | c->exit_signal;
	return fork_call(r, c, __NR_clone, (long)flags, 0, (long)c->parent_tid, (long)c->child_tid, (long)c->tls);
}

/* The child starts on a stack of its own: lay its frame there. Returns the stack pointer to give to the kernel. */
static uintptr_t child_stack(const struct regs *r, uintptr_t top, uint64_t mask)
{
	struct childframe *f = (struct childframe *)(top - RED_ZONE - sizeof(*f));
	f->mask = mask;
	f->gs = &foreign_m;
	f->regs = *r;
	return (uintptr_t)f;
}

static _Noreturn void child_begins(const struct firstframe *f)
{
	if (f->cleared)
		sig_actions_cleared_foreign();
	ident_apply(&f->id);
	arch_resume_regs(&f->regs);
}

/* The same for a child that is to have what its maker was told, or to clear its handlers. */
static uintptr_t child_stack_first(const struct regs *r, uintptr_t top, uint64_t mask, const struct identity *id, bool clear)
{
	struct firstframe *first = (struct firstframe *)(top - RED_ZONE - sizeof(*first));
	uintptr_t entry = ((uintptr_t)first & ~(uintptr_t)15) - 8; /* as if the function had been called */
	struct childframe *f = (struct childframe *)(entry - sizeof(*f));
	*first = (struct firstframe){ *id, clear, *r };
	*f = (struct childframe){ mask, &foreign_m, { .ret = (uintptr_t)child_begins, .rdi = (uintptr_t)first } };
	return (uintptr_t)f;
}

static long issue_on_stack(const struct regs *r, struct clone_args *full, size_t size, uintptr_t sp)
{
	if (r->rax == __NR_clone3) {
		full->stack_size = sp - full->stack;
		return arch_clone_child(__NR_clone3, (long)full, (long)size, 0, 0, 0);
	}
	return arch_clone_child(__NR_clone, (long)(full->flags | full->exit_signal), (long)sp, (long)full->parent_tid,
				(long)full->child_tid, (long)full->tls);
}

/* posix_spawn's child runs libc's own code, which takes no lock, until it execs. What another does we cannot know. */
static void before_foreign(const struct regs *r, const struct clone_args *full)
{
	uintptr_t fn = r->rdx; /* where glibc's clone3 has it; clone puts it on the child's stack */
	bool known = r->rax == __NR_clone3 || user_read(&fn, full->stack, sizeof(fn)) == 0;
	if (!(full->flags & CLONE_VFORK) || !known || !smplocks_is_libc(fn))
		smplocks_keep("a process made with CLONE_VM");
}

/* A child that shares memory and has its own stack. With CLONE_VFORK the M is gone until the child execs. */
static long clone_foreign(struct regs *r, struct clone_args *full, size_t size)
{
	struct g *g = getg();
	bool vfork = full->flags & CLONE_VFORK, clear = full->flags & CLONE_CLEAR_SIGHAND;
	before_foreign(r, full);
	if (!vfork) {
		atomic_fetch_add(&sched.nforeign, 1); /* we are not told when it ends */
		futex_leave_to_kernel();
	}
	if (full->flags & CLONE_SIGHAND)
		sigaction_is_shared();
	m_forks();
	uint64_t old = block_signals();
	const struct identity id = ident_for_child(g);
	uintptr_t top = full->stack + full->stack_size;
	uintptr_t sp = likely(!id.recorded && !clear) ? child_stack(r, top, g->sig.mask) :
							child_stack_first(r, top, g->sig.mask, &id, clear);
	long pid;
	if (vfork)
		entersyscall_block((int)r->rax);
	pid = issue_on_stack(r, full, size, sp);
	restore_signals(old); /* as above: before the G may go on with another M */
	if (vfork)
		exitsyscall();
	return pid;
}

/* The caller, a new process's only G, goes on after the site on another stack. */
static _Noreturn void continue_on(uintptr_t top, const struct regs *r)
{
	struct regs *copy = (struct regs *)(top - RED_ZONE - sizeof(*r));
	*copy = *r;
	getg()->regs = copy;
	arch_resume_regs(copy);
}

/* Without shared memory, but on another stack or with clone3's extras (pidfd, cgroup, set_tid): a fork whose child
 * finishes the call from a copy of the frame. */
static long clone_exotic(struct regs *r, struct clone_args *full, size_t size)
{
	struct clone_args a = *full;
	uintptr_t top = a.stack ? a.stack + a.stack_size : 0;
	bool clear = a.flags & CLONE_CLEAR_SIGHAND && !(a.flags & CLONE_SIGHAND); /* with both the kernel says EINVAL */
	a.flags = with_copy(a.flags);
	if (clear)
		a.flags &= ~CLONE_CLEAR_SIGHAND;
	a.stack = a.stack_size = 0;
	long pid = fork_call(r, &a, __NR_clone3, (long)&a, (long)size, 0, 0, 0);
	if (pid == 0 && clear)
		sig_actions_clear();
	if (pid == 0 && top)
		continue_on(top, r);
	return pid;
}

static long clone_any(struct regs *r, struct clone_args *full, size_t size)
{
	uint64_t flags = full->flags;
	if (flags & CLONE_THREAD) {
		struct cloneargs a = { flags, full->stack, full->stack_size, full->parent_tid, full->child_tid, full->tls };
		return clone_thread(r, &a);
	}
	fd_leak();
	if (flags & CLONE_VM && full->stack)
		return clone_foreign(r, full, size);
	if (full->stack || r->rax == __NR_clone3)
		return clone_exotic(r, full, size);
	return fork_here(r, full);
}

static struct clone_args args_of_clone(const struct regs *r)
{
	return (struct clone_args){
		.flags = A1(r) & ~(uint64_t)CSIGNAL,
		.exit_signal = A1(r) & CSIGNAL,
		.stack = A2(r),
		.pidfd = A3(r),
		.parent_tid = A3(r),
		.child_tid = A4(r),
		.tls = A5(r),
	};
}

/* Of a structure that is larger than ours, made for a newer kernel, the rest must be zero. */
static long rest_is_zero(uintptr_t at, uintptr_t end)
{
	for (uint64_t word; at < end; at += sizeof(word)) {
		size_t n = end - at < sizeof(word) ? end - at : sizeof(word);
		word = 0;
		if (user_read(&word, at, n))
			return -EFAULT;
		if (word)
			return -E2BIG;
	}
	return 0;
}

static long args_of_clone3(const struct regs *r, struct clone_args *a, size_t *size)
{
	*size = A2(r);
	if (*size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (*size > 4096)
		return -E2BIG;
	if (*size > sizeof(*a)) {
		long err = rest_is_zero(A1(r) + sizeof(*a), A1(r) + *size);
		if (err)
			return err;
		*size = sizeof(*a);
	}
	return user_read(a, A1(r), *size);
}

long shim_clone(struct regs *r)
{
	struct clone_args full = args_of_clone(r);
	return clone_any(r, &full, sizeof(full));
}

long shim_clone3(struct regs *r)
{
	struct clone_args full = { 0 };
	size_t size;
	long err = args_of_clone3(r, &full, &size);
	return err ? err : clone_any(r, &full, size);
}

/* A foreign thread makes a child: on its own stack it must not run into our stack's frames. */
long clone_by_foreign(struct regs *r)
{
	struct clone_args full = { 0 };
	size_t size = sizeof(full);
	uint64_t mask;
	if (r->rax == __NR_vfork)
		return sys2(__NR_clone, CLONE_VFORK | SIGCHLD, 0);
	if (r->rax == __NR_clone)
		full = args_of_clone(r);
	else {
		long err = args_of_clone3(r, &full, &size);
		if (err)
			return err;
	}
	if (!full.stack) /* continues here, on a copy of the memory */
		return sys5(__NR_clone, with_copy(full.flags) | full.exit_signal, 0, full.parent_tid,
			    full.child_tid, full.tls);
	sys4(__NR_rt_sigprocmask, 0, 0, &mask, 8);
	return issue_on_stack(r, &full, size, child_stack(r, full.stack + full.stack_size, mask));
}

long shim_fork(struct regs *r)
{
	const struct clone_args c = { .exit_signal = SIGCHLD };
	fd_leak();
	return fork_here(r, &c);
}

/* The child of vfork returns on its parent's stack: a copy of the memory is the price. */
long shim_vfork(struct regs *r)
{
	const struct clone_args c = { .flags = CLONE_VFORK, .exit_signal = SIGCHLD };
	fd_leak();
	return fork_here(r, &c);
}
