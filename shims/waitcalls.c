/* waitcalls.c - waits for children, file locks, System V IPC, POSIX message queues and asynchronous I/O.
 *
 * Natively these look first and only then see to signals: one that finds what it wants, or was told not to wait, is never
 * ended by a signal, and the wait for a child whose end was just signalled succeeds. Ours hand off the P on their way into
 * the kernel and may be ended there before it has looked. So one that was told not to wait is made as it is, and one that a
 * signal has ended is made again in its form that does not wait; only if that finds nothing the signal has ended it.
 *
 * Rejected: making the call again after the handler, as those are that do not wait (shim_may_block). Somebody who has seen
 * the thread in its wait, and sends the signal to end that, would have it wait on.
 */
#include "../runtime/sig.h"
#include "pollset.h"
#include <linux/aio_abi.h>
#include <linux/fcntl.h>
#include <asm/siginfo.h>
#include <linux/ipc.h>
#include <linux/sem.h>
#include <linux/wait.h>

#define LOCK_NB 4 /* sys/file.h is libc's */
#define MANY_OPERATIONS 64

static bool is_ended(long ret)
{
	return unlikely(ret == -ERESTARTSYS || ret == -ERESTARTNOHAND);
}

long shim_wait4(struct regs *r)
{
	if (A3(r) & WNOHANG)
		return shim_raw(r);
	long ret = shim_blocks_long(r);
	if (!is_ended(ret))
		return ret;
	struct regs now = *r;
	now.rdx |= WNOHANG;
	long got = shim_raw(&now);
	return got ? got : ret;
}

/* Without a child it clears the program's siginfo, which a wait that is ended leaves alone. */
long shim_waitid(struct regs *r)
{
	if (A4(r) & WNOHANG)
		return shim_raw(r);
	long ret = shim_blocks_long(r);
	if (!is_ended(ret))
		return ret;
	struct regs now = *r;
	siginfo_t info = { .si_signo = 0 };
	now.rdx = (uintptr_t)&info;
	now.r10 |= WNOHANG;
	long got = shim_raw(&now);
	if (got || !info.si_signo)
		return got ? got : ret;
	return A3(r) && user_write(A3(r), &info, sizeof(info)) ? -EFAULT : 0;
}

long shim_flock(struct regs *r)
{
	if (A2(r) & LOCK_NB)
		return shim_may_block(r); /* may ask a file server */
	long ret = shim_blocks_long(r);
	if (!is_ended(ret))
		return ret;
	struct regs now = *r;
	now.rsi |= LOCK_NB;
	long got = shim_raw(&now);
	return got == -EAGAIN ? ret : got;
}

/* fcntl with F_SETLKW or F_OFD_SETLKW */
long shim_setlkw(struct regs *r)
{
	long ret = shim_blocks_long(r);
	if (!is_ended(ret))
		return ret;
	struct regs now = *r;
	now.rsi = (int)A2(r) == F_SETLKW ? F_SETLK : F_OFD_SETLK;
	long got = shim_raw(&now);
	return got == -EAGAIN || got == -EACCES ? ret : got;
}

/* Both have their flags in different places. */
static long message(struct regs *r, uint64_t *flags, struct regs *now, long nothing)
{
	if (*flags & IPC_NOWAIT)
		return shim_raw(r);
	long ret = shim_blocks_long_nohand(r);
	if (!is_ended(ret))
		return ret;
	*flags |= IPC_NOWAIT;
	long got = shim_raw(now);
	return got == nothing ? ret : got;
}

long shim_msgsnd(struct regs *r)
{
	struct regs now = *r;
	return message(r, &now.r10, &now, -EAGAIN);
}

long shim_msgrcv(struct regs *r)
{
	struct regs now = *r;
	return message(r, &now.r8, &now, -ENOMSG);
}

static bool never_waits(const struct regs *r)
{
	struct sembuf op;
	if (A3(r) > MANY_OPERATIONS)
		return false;
	for (uint64_t i = 0; i < A3(r); i++)
		if (user_read(&op, A2(r) + i * sizeof(op), sizeof(op)) || (op.sem_op <= 0 && !(op.sem_flg & IPC_NOWAIT)))
			return false;
	return true;
}

/* semtimedop's time is from now, so it cannot just be made again. */
static long semop_for(struct regs *r, int64_t ns)
{
	int64_t left[2];
	const long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)left };
	long ret = blocking_syscall_until(getg(), __NR_semtimedop, a, left, deadline_after(ns));
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

long shim_semop(struct regs *r)
{
	static const struct ktimespec none;
	int64_t ns;
	bool timed = r->rax == __NR_semtimedop && A4(r);
	if (never_waits(r) || (timed && user_read_timespec(A4(r), &ns))) /* the kernel says what is wrong with it */
		return shim_raw(r);
	long ret = timed ? semop_for(r, ns) : shim_blocks_long_nohand(r);
	if (!is_ended(ret))
		return ret;
	const long got = sys4(__NR_semtimedop, (long)A1(r), (long)A2(r), (long)A3(r), (long)&none);
	return got == -EAGAIN || got == -EINTR ? ret : got;
}

/* mq_timedsend and mq_timedreceive. A time that has passed asks them not to wait. */
long shim_mq(struct regs *r)
{
	static const struct ktimespec passed;
	int64_t when;
	if (A5(r) && user_read_timespec(A5(r), &when))
		return shim_raw(r); /* the kernel says what is wrong with it */
	long ret = shim_blocks_long(r);
	if (!is_ended(ret))
		return ret;
	struct regs now = *r;
	now.r8 = (uintptr_t)&passed;
	long got = shim_raw(&now);
	return got == -ETIMEDOUT ? ret : got;
}

/* A signal for another G may have the call return with less than the least. */
long shim_io_getevents(struct regs *r)
{
	static const struct ktimespec now;
	struct g *g = getg();
	int64_t ns = -1, deadline = 0, left[2];
	long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r) }, done = 0, ret;
	if (A5(r) && user_read_timespec(A5(r), &ns))
		return shim_blocks_long_nohand(r);
	if (a[1] <= 0 || ns == 0)
		return polled_once(shim_raw(r));
	if (ns > 0) {
		deadline = deadline_after(ns);
		a[4] = (long)left;
	}
	do {
		ret = ns > 0 ? blocking_syscall_until(g, (long)r->rax, a, left, deadline) : blocking_syscall_long(g, (long)r->rax, a);
		if (ret <= 0)
			break;
		done += ret;
		a[1] -= ret;
		a[2] -= ret;
		a[3] += ret * (long)sizeof(struct io_event);
	} while (a[1] > 0 && !sig_deliverable(g) && (ns < 0 || os_nanotime() < deadline));
	if (ret == -EINTR) {
		long got = sys5(__NR_io_getevents, a[0], a[1], a[2], a[3], &now);
		done += got > 0 ? got : 0;
	}
	return done ? done : ret == -EINTR ? -ERESTARTNOHAND : ret;
}

long shim_io_pgetevents(struct regs *r)
{
	struct {
		uintptr_t mask;
		size_t size;
	} sig = { 0 };
	struct regs now = *r;
	if (A6(r) && user_read(&sig, A6(r), sizeof(sig)))
		return -EFAULT;
	long swapped = sigmask_begin(sig.mask, sig.size);
	if (swapped < 0)
		return swapped;
	now.r9 = 0;
	return sigmask_end_late(swapped, shim_io_getevents(&now));
}
