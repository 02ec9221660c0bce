/* epoll.c - the program's epoll_wait and its kin.
 *
 * An epoll descriptor can itself be polled; so a G that waits in epoll_wait is one that reads from a descriptor: try with a
 * timeout of zero, park until it has an event, try again. The runtime's epoll sees an edge for each event inside the
 * program's; the first of several waiters wakes and passes the wake on when it leaves (iowait.c), so that events it did
 * not take find the next. What epoll_ctl adds ready is an event inside, too.
 *
 * To look whether there is an event inside is to poll what is inside. Where that tells what is new once (iowait.c), all waits are
 * the kernel's.
 */
#include "pollset.h"
#include <linux/eventpoll.h>

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

static long wait_in_kernel(struct regs *r, int64_t deadline)
{
	int64_t left[2];
	long a[6] = { (long)A1(r), (long)A2(r), (long)A3(r), (long)left, 0, 0 }, ret = -ENOSYS;
	if (deadline)
		ret = blocking_syscall_until(getg(), __NR_epoll_pwait2, a, left, deadline);
	if (ret == -ENOSYS || ret == -EPERM) { /* also by a filter, of a call that the program did not make */
		a[3] = ms_left(deadline);
		ret = blocking_syscall_long(getg(), __NR_epoll_wait, a);
	}
	return ret;
}

static int64_t deadline_of_ms(int ms)
{
	return ms < 0 ? 0 : ms == 0 ? -1 : deadline_after(ms * NSEC_PER_MSEC);
}

long shim_epoll_wait(struct regs *r)
{
	int64_t deadline = deadline_of_ms((int)A4(r));
	long ret = epoll_until(r, deadline);
	if (ret == IO_HANDOFF)
		ret = wait_in_kernel(r, deadline);
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

long shim_epoll_pwait(struct regs *r)
{
	long swapped = sigmask_begin(A5(r), A6(r));
	if (swapped < 0)
		return swapped;
	int64_t deadline = deadline_of_ms((int)A4(r));
	long ret = epoll_until(r, deadline);
	if (ret == IO_HANDOFF)
		ret = wait_in_kernel(r, deadline);
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
	int64_t deadline = ns < 0 ? 0 : ns == 0 ? -1 : deadline_after(ns);
	long ret = epoll_until(r, deadline);
	if (ret == IO_HANDOFF)
		ret = wait_in_kernel(r, deadline);
	return sigmask_end(swapped, ret);
}

/* The program's epoll descriptor gets a file of which poll tells once. */
long shim_epoll_ctl(struct regs *r)
{
	int ep = (int)A1(r), fd = (int)A3(r);
	struct fdesc *e = fdesc_get(ep), *f = fdesc_get(fd);
	if ((int)A2(r) == EPOLL_CTL_ADD && e && f && !(load_rlx(&e->flags) & FD_PRIVATE)) {
		enum fdkind k = (enum fdkind)load_rlx(&f->kind);
		if ((k == KindUnknown || k == KindEvent || k == KindFile) && os_tells_once(fd) && fd_kind(e, ep) == KindEvent)
			fdesc_leave_to_kernel(e, ep);
	}
	return shim_raw(r);
}
