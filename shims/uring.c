/* uring.c - io_uring(7): a ring may belong to the kernel thread that made it.
 *
 * A ring with one issuer takes entries from that kernel thread only, one with deferred task work completes them there
 * only, and a ring's registered number is known to the kernel thread that registered it. A G that asks for one of these
 * is wired. Rings without serve any kernel thread; a wait for completions blocks like any other call.
 */
#include "pollset.h"

#define SETUP_R_DISABLED (1u << 6)
#define SETUP_SINGLE_ISSUER (1u << 12)
#define SETUP_DEFER_TASKRUN (1u << 13)
#define FLAGS_OFFSET 8 /* in struct io_uring_params */

#define REGISTER_ENABLE_RINGS 12
#define REGISTER_RING_FDS 20

long shim_io_uring_setup(struct regs *r)
{
	uint32_t flags;
	if (user_read(&flags, A2(r) + FLAGS_OFFSET, sizeof(flags)))
		return -EFAULT;
	/* A ring that is made disabled belongs to who enables it. */
	if (flags & (SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN) && !(flags & SETUP_R_DISABLED))
		lockosthread("io_uring");
	return shim_raw(r);
}

long shim_io_uring_register(struct regs *r)
{
	uint32_t op = (uint32_t)A2(r);
	if (op == REGISTER_ENABLE_RINGS || op == REGISTER_RING_FDS)
		lockosthread("io_uring");
	return shim_raw(r);
}

#define ENTER_GETEVENTS (1u << 0)
#define ENTER_SQ_WAKEUP (1u << 1)
#define ENTER_SQ_WAIT (1u << 2)
#define ENTER_EXT_ARG (1u << 3)
#define ENTER_ABS_TIMER (1u << 5)
#define ENTER_EXT_ARG_REG (1u << 6)

struct getevents_arg {
	uint64_t sigmask;
	uint32_t sigmask_size, min_wait_us;
	uint64_t ts;
};

/* The mask is the G's and not given to the kernel, and a time from now is counted here. What lies in a registered region the
 * kernel knows alone. */
static long wait_for_completions(struct regs *r)
{
	struct getevents_arg arg = { 0 };
	struct regs now = *r;
	uintptr_t mask = A5(r);
	size_t size = A6(r);
	int64_t ns = -1, left[2];
	if (A4(r) & ENTER_EXT_ARG) {
		if (A4(r) & ENTER_EXT_ARG_REG || size != sizeof(arg) || user_read(&arg, A5(r), sizeof(arg)) ||
		    (arg.ts && !(A4(r) & ENTER_ABS_TIMER) && user_read_timespec(arg.ts, &ns)))
			return shim_blocks_long_nohand(r);
		mask = arg.sigmask;
		size = arg.sigmask_size;
		arg.sigmask = 0;
		now.r8 = (uintptr_t)&arg;
	} else {
		now.r8 = now.r9 = 0;
	}
	long ret, swapped = sigmask_begin(mask, size);
	if (swapped < 0)
		return swapped;
	if (ns < 0) {
		ret = shim_blocks_long_nohand(&now);
	} else {
		arg.ts = (uintptr_t)left;
		const long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), (long)&arg, (long)sizeof(arg) };
		ret = blocking_syscall_until(getg(), __NR_io_uring_enter, a, left, deadline_after(ns));
		ret = ret == -EINTR ? -ERESTARTNOHAND : ret;
	}
	return sigmask_end_late(swapped, ret);
}

/* Without a wait for completions it only submits. One that submits and waits says that it has submitted also if a signal has ended the
 * wait, and this may have been one for another G: so it is made in two calls, as the kernel makes it one after the other. */
long shim_io_uring_enter(struct regs *r)
{
	if (!(A4(r) & ENTER_GETEVENTS) || !A3(r))
		return shim_may_block_nohand(r);
	if (!(uint32_t)A2(r))
		return wait_for_completions(r);
	struct regs now = *r;
	now.rdx = now.r8 = now.r9 = 0;
	now.r10 = A4(r) & ~(uint64_t)(ENTER_GETEVENTS | ENTER_EXT_ARG | ENTER_ABS_TIMER | ENTER_EXT_ARG_REG);
	long submitted = shim_may_block_nohand(&now);
	if (submitted != (long)(uint32_t)A2(r))
		return submitted;
	now = *r;
	now.rsi = 0;
	now.r10 = A4(r) & ~(uint64_t)(ENTER_SQ_WAKEUP | ENTER_SQ_WAIT);
	wait_for_completions(&now);
	return submitted;
}
