/* futex2.c - the newer calls, a word's kind by flags: futex_waitv, and futex_wake, futex_wait and futex_requeue (Linux 6.7). */
#include "../runtime/futex.h"
#include "shim.h"
#include <linux/futex.h>

#define WAITV_MAX 128
#define WAITV_ON_STACK 8
#define SIZE_U32 2

struct waitv {
	uint64_t val, addr;
	uint32_t flags, reserved;
};

static bool are_flags(uint64_t flags)
{
	return flags == SIZE_U32 || flags == (SIZE_U32 | FUTEX_PRIVATE_FLAG);
}

static int check_waitv(const struct waitv *v)
{
	return v->reserved || !are_flags(v->flags) || v->addr & 3 || v->val >> 32 ? -EINVAL : 0;
}

/* Absolute, by CLOCK_REALTIME or CLOCK_MONOTONIC; 0: none. */
static int read_timeout(uintptr_t at, uint32_t clock, int64_t *deadline)
{
	int64_t ns;
	*deadline = 0;
	if (!at)
		return 0;
	if (clock > 1)
		return -EINVAL;
	int err = user_read_timespec(at, &ns);
	if (!err)
		*deadline = clock == 0 ? deadline_of_walltime(ns) : ns > 0 ? ns : 1;
	return err;
}

static long kernel_wait(struct regs *r)
{
	long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r) };
	return blocking_syscall_long(getg(), (long)r->rax, a);
}

static long restarted(long ret)
{
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

/* Words are in private and in shared memory: then all waits are the kernel's. True: these are. */
static bool are_kernels(uint32_t nshared, uint32_t n)
{
	if (nshared && nshared < n)
		futex_leave_to_kernel();
	return nshared;
}

static long waitv(struct regs *r, struct futexw *w, uint32_t *val, uint32_t n, int64_t deadline)
{
	uint32_t nshared = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct waitv v;
		if (user_read(&v, A1(r) + i * sizeof(v), sizeof(v)))
			return -EFAULT;
		int err = check_waitv(&v);
		if (err)
			return err;
		nshared += futex_goes_to_kernel(v.addr, v.flags);
		w[i].addr = v.addr;
		val[i] = (uint32_t)v.val;
	}
	return restarted(are_kernels(nshared, n) ? kernel_wait(r) : futex_waitv(getg(), w, val, n, deadline));
}

long shim_futex_waitv(struct regs *r)
{
	uint32_t n = (uint32_t)A2(r);
	int64_t deadline;
	if (A3(r) || n == 0 || n > WAITV_MAX || !A1(r))
		return -EINVAL;
	int err = read_timeout(A4(r), (uint32_t)A5(r), &deadline);
	if (err)
		return err;
	struct futexw few[WAITV_ON_STACK], *w = few;
	uint32_t vals[WAITV_MAX];
	if (n > nelem(few))
		w = rt_alloc(n * sizeof(*w)); /* the stack may be small */
	long ret = waitv(r, w, vals, n, deadline);
	if (w != few)
		rt_free(w, n * sizeof(*w));
	return ret;
}

/* futex_wake(addr, mask, n, flags) */
long shim_futex_wake(struct regs *r)
{
	uintptr_t addr = A1(r);
	int n = (int)A3(r);
	if (!are_flags((uint32_t)A4(r)) || A2(r) >> 32 || !A2(r) || addr & 3)
		return -EINVAL;
	if (futex_goes_to_kernel(addr, (unsigned)A4(r)))
		return shim_raw(r);
	return n ? futex_wake(addr, n > 0 ? (uint32_t)n : 1, (uint32_t)A2(r)) : 0;
}

/* futex_wait(addr, val, mask, flags, timeout, clock) */
long shim_futex_wait(struct regs *r)
{
	int64_t deadline;
	uintptr_t addr = A1(r);
	if (!are_flags((uint32_t)A4(r)) || A2(r) >> 32 || A3(r) >> 32)
		return -EINVAL;
	int err = read_timeout(A5(r), (uint32_t)A6(r), &deadline);
	if (err)
		return err;
	if (!A3(r) || addr & 3)
		return -EINVAL;
	if (futex_goes_to_kernel(addr, (unsigned)A4(r)))
		return restarted(kernel_wait(r));
	return restarted(futex_wait(getg(), addr, (uint32_t)A2(r), (uint32_t)A3(r), deadline));
}

/* futex_requeue(the two words, 0, to wake, to move) */
long shim_futex_requeue(struct regs *r)
{
	struct waitv v[2];
	if (A2(r) || !A1(r))
		return -EINVAL;
	if (user_read(v, A1(r), sizeof(v)))
		return -EFAULT;
	for (int i = 0; i < 2; i++)
		if (check_waitv(&v[i]))
			return -EINVAL;
	if ((int)A3(r) < 0 || (int)A4(r) < 0)
		return -EINVAL;
	uint32_t nshared = 0, val = (uint32_t)v[0].val;
	for (int i = 0; i < 2; i++)
		nshared += futex_goes_to_kernel(v[i].addr, v[i].flags);
	if (are_kernels(nshared, 2))
		return shim_raw(r);
	return futex_requeue(v[0].addr, v[1].addr, (uint32_t)A3(r), (uint32_t)A4(r), &val);
}
