/* futex.c - futex(2): private words in the runtime's queues, shared ones in the kernel. */
#include "../runtime/futex.h"
#include "shim.h"
#include <linux/futex.h>

static bool is_pi(unsigned op)
{
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_TRYLOCK_PI:
	case FUTEX_UNLOCK_PI:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_CMP_REQUEUE_PI:
		return true;
	default:
		return false;
	}
}

/* Without FUTEX_PRIVATE_FLAG the word may be shared with another process. glibc leaves the flag out for pthread_join's
 * word and for process-shared objects, so ask the kernel what kind of memory it is. */
bool futex_goes_to_kernel(uintptr_t addr, unsigned op)
{
	return (unlikely(load_rlx(&futex_by_kernel)) && !is_pi(op)) ||
	       (!(op & FUTEX_PRIVATE_FLAG) && !stack_contains(addr) && os_is_shared_memory(addr));
}

/* The deadline of a wait in monotonic ns; 0: none. */
static int read_deadline(const struct regs *r, unsigned op, unsigned cmd, int64_t *deadline)
{
	int64_t ns;
	*deadline = 0;
	if (!A4(r) || cmd == FUTEX_TRYLOCK_PI)
		return 0;
	int err = user_read_timespec(A4(r), &ns);
	if (err)
		return err;
	if (cmd == FUTEX_WAIT)
		*deadline = deadline_after(ns);
	else if (cmd == FUTEX_LOCK_PI || op & FUTEX_CLOCK_REALTIME)
		*deadline = deadline_of_walltime(ns);
	else
		*deadline = ns > 0 ? ns : 1;
	return 0;
}

static long interrupted(long ret, bool timed)
{
	if (ret != -EINTR)
		return ret;
	return timed ? -ERESTART_RESTARTBLOCK : -ERESTARTSYS;
}

/* A wait for some time is made one until some time, since it may be made again. */
static long kernel_futex(struct regs *r, unsigned op, unsigned cmd)
{
	long a[6] = { (long)A1(r), op, (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r) };
	int64_t deadline = 0;
	struct ktimespec ts;
	if (cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI)
		return shim_raw(r);
	if (cmd == FUTEX_WAIT && A4(r)) {
		int err = read_deadline(r, op, cmd, &deadline);
		if (err)
			return err;
		ts = (struct ktimespec){ deadline / NSEC_PER_SEC, deadline % NSEC_PER_SEC };
		a[1] = FUTEX_WAIT_BITSET | (long)(op & FUTEX_PRIVATE_FLAG);
		a[3] = (long)&ts;
		a[5] = FUTEX_BITSET_MATCH_ANY;
	}
	return interrupted(blocking_syscall_long(getg(), __NR_futex, a), a[3]);
}

/* How many to wake: the kernel counts after it has woken one. */
static uint32_t at_least_one(uint32_t n)
{
	return (int)n <= 0 ? 1 : n;
}

static long wake(uintptr_t addr, uint32_t n, uint32_t bitset)
{
	return bitset ? futex_wake(addr, at_least_one(n), bitset) : -EINVAL;
}

static long wait(struct regs *r, unsigned op, unsigned cmd)
{
	int64_t deadline;
	uint32_t bitset = cmd == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : (uint32_t)A6(r);
	if (bitset == 0)
		return -EINVAL;
	int err = read_deadline(r, op, cmd, &deadline);
	if (err)
		return err;
	return interrupted(futex_wait(getg(), A1(r), (uint32_t)A3(r), bitset, deadline), deadline);
}

static long pi(struct regs *r, unsigned op, unsigned cmd)
{
	int64_t deadline;
	int err = read_deadline(r, op, cmd, &deadline);
	if (err)
		return err;
	struct g *g = getg();
	if (cmd == FUTEX_WAIT_REQUEUE_PI)
		return interrupted(futex_wait_requeue_pi(g, A1(r), (uint32_t)A3(r), FUTEX_BITSET_MATCH_ANY, A5(r), deadline),
				   deadline);
	long ret = futex_lock_pi(g, A1(r), deadline, cmd == FUTEX_TRYLOCK_PI);
	return ret == -EINTR ? -ERESTARTNOINTR : ret;
}

/* In memory that other processes share. */
static long shared(struct regs *r, unsigned op, unsigned cmd)
{
	int64_t deadline;
	long ret;
	switch (cmd) {
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_TRYLOCK_PI:
		ret = read_deadline(r, op, cmd, &deadline);
		if (ret == 0)
			ret = futex_lock_pi_shared(getg(), A1(r), deadline, cmd == FUTEX_TRYLOCK_PI);
		return ret == -EINTR ? -ERESTARTNOINTR : ret;
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi_shared(getg(), A1(r));
	default:
		return kernel_futex(r, op, cmd);
	}
}

static long requeue(struct regs *r, unsigned op, unsigned cmd)
{
	uint32_t val3 = (uint32_t)A6(r);
	long ret = futex_requeue(A1(r), A5(r), (uint32_t)A3(r), (uint32_t)A4(r), cmd == FUTEX_CMP_REQUEUE ? &val3 : NULL);
	return ret == -EINTR ? shared(r, op, cmd) : ret;
}

static __attribute__((noinline)) long any(struct regs *r)
{
	uintptr_t addr = A1(r);
	unsigned op = (unsigned)A2(r), cmd = op & FUTEX_CMD_MASK;
	uint32_t val = (uint32_t)A3(r), val2 = (uint32_t)A4(r), val3 = (uint32_t)A6(r);
	if (op & FUTEX_CLOCK_REALTIME && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI2)
		return -ENOSYS;
	if (addr & 3)
		return cmd == FUTEX_FD || cmd > FUTEX_LOCK_PI2 ? -ENOSYS : -EINVAL;
	if (futex_goes_to_kernel(addr, op))
		return shared(r, op, cmd);
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return wait(r, op, cmd);
	case FUTEX_WAKE:
		return wake(addr, val, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return wake(addr, val, val3);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		return A5(r) & 3 || (int)val < 0 || (int)val2 < 0 ? -EINVAL : requeue(r, op, cmd);
	case FUTEX_WAKE_OP:
		if (A5(r) & 3)
			return -EINVAL;
		return futex_wake_op(addr, A5(r), at_least_one(val), at_least_one(val2), val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_TRYLOCK_PI:
	case FUTEX_WAIT_REQUEUE_PI:
		return pi(r, op, cmd);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(getg(), addr);
	case FUTEX_CMP_REQUEUE_PI:
		if (val != 1)
			return -EINVAL;
		return futex_cmp_requeue_pi(addr, A5(r), val2, val3);
	default:
		return -ENOSYS;
	}
}

/* Nearly all calls wake somebody or wait without a limit, in private memory: these are short. */
long shim_futex(struct regs *r)
{
	unsigned op = (unsigned)A2(r);
	uint32_t n = (uint32_t)A3(r);
	if (unlikely(A1(r) & 3) || unlikely(load_rlx(&futex_by_kernel)))
		return any(r);
	if (op == FUTEX_WAKE_PRIVATE && (int)n > 0)
		return futex_wake(A1(r), n, FUTEX_BITSET_MATCH_ANY);
	if (!A4(r) && (op == FUTEX_WAIT_PRIVATE || ((op & ~(unsigned)FUTEX_CLOCK_REALTIME) == FUTEX_WAIT_BITSET_PRIVATE &&
						    (uint32_t)A6(r) == FUTEX_BITSET_MATCH_ANY)))
		return interrupted(futex_wait_forever(A1(r), n), false);
	return any(r);
}
