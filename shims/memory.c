/* memory.c - the memory calls that concern thread stacks; all others pass.
 *
 * glibc maps a stack with MAP_STACK and no access, opens all but the guard, discards what a finished thread used, and
 * unmaps what its cache does not keep. The pool answers all four (runtime/stack.c).
 */
#include "../runtime/smplocks.h"
#include "shim.h"
#include <asm/fcntl.h>
#include <linux/mman.h>

#define PAGE 4096UL
#define SHM_RDONLY 010000 /* linux/shm.h takes libc's types */
#define MIN_POOLED (16UL << 10)
#define MUCH (1UL << 20)

static bool is_stack_request(const struct regs *r)
{
	const unsigned long need = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	const unsigned long allow = need | MAP_NORESERVE;
	unsigned long prot = A3(r), flags = A4(r);
	return A1(r) == 0 && (flags & need) == need && !(flags & ~allow) && A2(r) >= MIN_POOLED &&
	       (prot == PROT_NONE || prot == (PROT_READ | PROT_WRITE));
}

/* From the pool; else the kernel's answer. */
static long map_stack(struct regs *r)
{
	void *p = stack_alloc(align_up(A2(r), PAGE));
	if (p && A3(r) != PROT_NONE && stack_guard((uintptr_t)p, 0)) {
		stack_free((uintptr_t)p, align_up(A2(r), PAGE));
		p = NULL;
	}
	return p ? (long)p : shim_raw(r);
}

static bool is_private_memory(const struct regs *r)
{
	const unsigned long need = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	const unsigned long allow = need | MAP_NORESERVE | MAP_STACK;
	unsigned long prot = A3(r), flags = A4(r);
	return (flags & need) == need && !(flags & ~allow) && (prot == PROT_NONE || prot == (PROT_READ | PROT_WRITE));
}

/* In the place of a stack, or of a part of one. */
static long map_over_stack(struct regs *r)
{
	uintptr_t addr = A1(r), lo, hi;
	size_t size = align_up(A2(r), PAGE);
	if (is_private_memory(r) && addr % PAGE == 0 && size && stack_bounds(addr, &lo, &hi) && size <= hi - addr &&
	    stack_renew(addr, size, (int)A3(r)) == 0)
		return (long)addr;
	long ret = shim_raw(r);
	if (ret == (long)addr)
		stack_foreign(addr, size);
	return ret;
}

/* Many pages are filled or given back in milliseconds: the P is not held up meanwhile. */
long shim_much_memory(struct regs *r)
{
	if (A2(r) < MUCH)
		return shim_raw(r);
	entersyscall((int)r->rax);
	long ret = shim_raw(r); /* no signal ends it */
	exitsyscall();
	return ret;
}

/* A mapping of a file that was not opened for writing can never be written. */
static bool shares_memory(const struct regs *r)
{
	return A4(r) & MAP_ANONYMOUS || A3(r) & PROT_WRITE || (sys2(__NR_fcntl, A5(r), F_GETFL) & O_ACCMODE) != O_RDONLY;
}

long shim_shmat(struct regs *r)
{
	if (!(A3(r) & SHM_RDONLY))
		smplocks_keep("shared memory");
	return shim_raw(r);
}

long shim_mmap(struct regs *r)
{
	if (A4(r) & MAP_SHARED && shares_memory(r))
		smplocks_keep("shared memory");
	if (A4(r) & MAP_FIXED && stack_contains(A1(r)))
		return map_over_stack(r);
	if (!is_stack_request(r))
		return A4(r) & MAP_POPULATE ? shim_much_memory(r) : shim_raw(r);
	long ret = map_stack(r);
	if (unlikely(ret == -ENOMEM)) {
		/* Threads that were made before may only wait for this P to end and give theirs back: natively they run
		 * beside a caller that tries again and again. */
		goyield();
		ret = map_stack(r);
	}
	return ret;
}

long shim_munmap(struct regs *r)
{
	if (stack_contains(A1(r))) {
		if (A1(r) % PAGE || A2(r) == 0)
			return -EINVAL;
		stack_free(A1(r), align_up(A2(r), PAGE));
		return 0;
	}
	return shim_much_memory(r);
}

long shim_mprotect(struct regs *r)
{
	uintptr_t addr = A1(r), lo, hi;
	size_t size = align_up(A2(r), PAGE);
	int prot = (int)A3(r);
	if (!stack_bounds(addr, &lo, &hi))
		return shim_raw(r);
	if (addr % PAGE)
		return -EINVAL;
	if (size > hi - addr)
		return -ENOMEM;
	return stack_protect(addr, size, prot);
}

/* What lies below the caller's own stack pointer is dead memory: giving its pages back at each thread's end would cost
 * a system call and two page faults per thread. glibc's cache bounds what is kept (40 MiB), beyond it stacks are
 * unmapped and stack_free drops their pages. */
static bool is_own_dead_stack(const struct regs *r)
{
	uintptr_t lo, hi, sp = regs_sp(r);
	return A3(r) == MADV_DONTNEED && stack_bounds(A1(r), &lo, &hi) && sp > lo && sp <= hi && A1(r) + A2(r) <= sp;
}

long shim_madvise(struct regs *r)
{
	if (is_own_dead_stack(r))
		return 0;
	return shim_much_memory(r);
}
