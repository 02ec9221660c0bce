/* epoll.c - the program's epoll_wait and its kin.
 *
 * An epoll descriptor can itself be polled; so a G that waits in epoll_wait is one that reads from a descriptor: try with a
 * timeout of zero, park until it has an event, try again. The runtime's epoll sees an edge for each event inside the
 * program's; the first of several waiters wakes and passes the wake on when it leaves (iowait.c), so that events it did
 * not take find the next. epoll_ctl is not ours: what it adds ready is an event inside, too.
 */
#include "pollset.h"

/* deadline: 0 none; < 0: do not wait. */
static long epoll_until(struct regs *r, int64_t deadline)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	struct iocall c;
	if (deadline < 0 || !e)
		return deadline < 0 ? sys4(__NR_epoll_wait, A1(r), A2(r), A3(r), 0) : IO_HANDOFF;
	io_begin(&c, r, e, DirRead);
	c.nr = __NR_epoll_wait;
	c.a[3] = 0;
	c.seen = fdesc_seen(e, DirRead);
	long ret = io_try(&c);
	if (ret)
		return ret;
	iowait_init(&c.w, getg(), e, (int)A1(r), DirRead, WaitEpoll);
	c.waited = true;
	c.w.deadline = deadline;
	while (ret == 0) {
		ret = io_wait(&c);
		if (ret == -EAGAIN)
			break; /* the deadline */
		ret = ret == IO_RETRY ? io_try(&c) : ret;
	}
	iowait_end(&c.w);
	return ret == -EAGAIN ? 0 : ret == -ERESTARTSYS ? -ERESTARTNOHAND : ret;
}

static int64_t deadline_of_ms(int ms)
{
	return ms < 0 ? 0 : ms == 0 ? -1 : deadline_after(ms * NSEC_PER_MSEC);
}

long shim_epoll_wait(struct regs *r)
{
	long ret = epoll_until(r, deadline_of_ms((int)A4(r)));
	return ret == IO_HANDOFF ? shim_blocks_long_nohand(r) : ret;
}

long shim_epoll_pwait(struct regs *r)
{
	long swapped = sigmask_begin(A5(r), A6(r));
	if (swapped < 0)
		return swapped;
	long ret = epoll_until(r, deadline_of_ms((int)A4(r)));
	if (ret == IO_HANDOFF) {
		const long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), 0, 0 };
		ret = blocking_syscall_long(getg(), __NR_epoll_wait, a);
	}
	return sigmask_end(swapped, ret);
}

long shim_epoll_pwait2(struct regs *r)
{
	int64_t ns = -1;
	int err = A4(r) ? user_read_timespec(A4(r), &ns) : 0;
	if (err)
		return err;
	long swapped = sigmask_begin(A5(r), A6(r));
	if (swapped < 0)
		return swapped;
	long ret = epoll_until(r, ns < 0 ? 0 : ns == 0 ? -1 : deadline_after(ns));
	if (ret == IO_HANDOFF) {
		const long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)A4(r), 0, 0 };
		ret = blocking_syscall_long(getg(), __NR_epoll_pwait2, a);
	}
	return sigmask_end(swapped, ret);
}
