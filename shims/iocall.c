/* iocall.c - one blocking call on a descriptor: try, ask whether it may wait at all, park, try again.
 *
 * Only a call that failed with EAGAIN asks whether the program itself made the descriptor non-blocking (F_GETFL) or
 * gave the socket a timeout. That it may wait is remembered until the program changes such a thing anywhere (fd_epoch):
 * flags sit on the open file, so a change through one number may concern another. What other processes change is not
 * seen; so files that another process may have (0 to 2, terminals, what was there before a fork) are asked for O_NONBLOCK
 * each time.
 */
#include "../runtime/sig.h"
#include "io.h"
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/socket.h>
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <asm/sockios.h>
#include <linux/in.h>

#define SPLICE_F_NONBLOCK 2
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif
#define TCP_INFO 11 /* linux/tcp.h does not go with linux/socket.h here */
#define STATE_CLOSE 7

void io_begin(struct iocall *c, struct regs *r, struct fdesc *e, enum iodir dir)
{
	c->r = r;
	c->e = e;
	c->nr = (long)r->rax;
	c->a[0] = (int)A1(r);
	c->a[1] = (long)A2(r);
	c->a[2] = (long)A3(r);
	c->a[3] = (long)A4(r);
	c->a[4] = (long)A5(r);
	c->a[5] = (long)A6(r);
	c->dir = dir;
	c->reason = dir == DirRead ? WaitIORead : WaitIOWrite;
	c->sock = c->accepts = c->pipe = c->waited = c->timed = c->late = false;
}

/* SO_RCVTIMEO or SO_SNDTIMEO in ns; 0: none. */
static int64_t socket_timeout(int fd, int option)
{
	struct {
		int64_t sec, usec;
	} tv = { 0, 0 };
	int len = sizeof(tv);
	if (sys5(__NR_getsockopt, fd, SOL_SOCKET, option, &tv, &len) < 0)
		return 0;
	return tv.sec * NSEC_PER_SEC + tv.usec * NSEC_PER_USEC;
}

/* The kernel ended a call that waits on a socket for a signal. With a timeout of the socket's it is not made again, whatever the
 * handler's flags say. */
long sock_interrupted(int fd, enum iodir dir)
{
	bool timed = socket_timeout(fd, dir == DirRead ? SO_RCVTIMEO : SO_SNDTIMEO);
	return timed && sig_deliverable(getg()) ? -EINTR : -ERESTARTSYS;
}

static long interrupted(const struct regs *r, enum iodir dir, long ret)
{
	return unlikely(ret == -ERESTARTSYS) ? sock_interrupted((int)A1(r), dir) : ret;
}

long sock_may_block(struct regs *r, enum iodir dir)
{
	return interrupted(r, dir, shim_may_block(r));
}

long sock_blocks_long(struct regs *r, enum iodir dir)
{
	return interrupted(r, dir, shim_blocks_long(r));
}

/* TCP reports an error once, and natively not to a call that has got or sent something: so it is not tried again then. Errors that
 * are not its end, such as what is in the error queue, do not count. */
bool sock_is_broken(int fd)
{
	struct pollfd p = { fd, 0, 0 };
	uint8_t state = 0; /* the first field of struct tcp_info */
	int len = sizeof(state);
	if (kernel_poll(&p, 1) == 0 || !(p.revents & POLLERR))
		return false;
	return sys5(__NR_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 && state == STATE_CLOSE;
}

bool sock_is_read(int fd)
{
	int there = 0;
	return sys3(__NR_ioctl, fd, FIONREAD, &there) != 0 || there <= 0;
}

bool sock_is_at_mark(int fd)
{
	int at_mark = 0;
	return sys3(__NR_ioctl, fd, SIOCATMARK, &at_mark) == 0 && at_mark;
}

/* 0: the call may wait; *timeout > 0: no longer than that. Else -errno. */
static long may_wait(struct iocall *c, int64_t *timeout)
{
	struct fdesc *e = c->e;
	int fd = (int)c->a[0];
	uint32_t epoch = load_acq(&fd_epoch);
	bool cache = fd > 2 && load_rlx(&e->kind) != KindTty;
	*timeout = 0;
	bool known = cache && load_rlx(&e->flags) & FD_BLOCKING && load_rlx(&e->epoch) == epoch;
	if (likely(known && fdesc_own(e)))
		return 0;
	long fl = sys3(__NR_fcntl, fd, F_GETFL, 0);
	if (fl < 0)
		return fl;
	if (fl & O_NONBLOCK) {
		if (cache)
			fdesc_set_flags(e, FD_NONBLOCK, epoch);
		return -EAGAIN;
	}
	if (known)
		return 0;
	if (c->sock) {
		int64_t rcv = socket_timeout(fd, SO_RCVTIMEO), snd = socket_timeout(fd, SO_SNDTIMEO);
		*timeout = c->dir == DirRead ? rcv : snd;
		cache = cache && !rcv && !snd;
	}
	if (cache)
		fdesc_set_flags(e, FD_BLOCKING, epoch);
	return 0;
}

/* A datagram socket was shut down for reading: a call that may wait is told of the end, one that may not is told to try again. */
static bool is_shut(const struct iocall *c)
{
	enum fdkind k = (enum fdkind)load_rlx(&c->e->kind);
	struct pollfd p = { (int)c->a[0], POLLRDHUP, 0 };
	return k != KindTCP && k != KindStream && kernel_poll(&p, 1) != 0 && p.revents & POLLRDHUP;
}

/* After a try that said -EAGAIN. IO_RETRY, IO_HANDOFF, or -errno for the program. */
long io_wait(struct iocall *c)
{
	if (!c->waited) {
		int64_t timeout;
		long err = may_wait(c, &timeout);
		if (err)
			return err;
		iowait_init(&c->w, getg(), c->e, (int)c->a[0], c->dir, c->reason);
		c->waited = true;
		if (timeout) {
			c->timed = true;
			c->timeout = timeout;
			c->w.deadline = deadline_after(timeout);
		}
	}
	if (unlikely(c->sock && c->dir == DirRead && load_rlx(&c->e->flags) & FD_HUP) && is_shut(c))
		return IO_HANDOFF;
	if (unlikely(c->late))
		return -EAGAIN;
	enum iowake how = iowait_sleep(&c->w, c->seen);
	c->a[0] = load_rlx(&c->w.fd);
	c->e = load_acq(&c->w.e);
	switch (how) {
	case IoRetry:
		return IO_RETRY;
	case IoTimeout:
		/* As in the kernel, what has come by now counts, also if nobody has heard of it yet. */
		c->late = true;
		return IO_RETRY;
	case IoSignal:
		/* A look at signals that others take is no end: a part may have been done. */
		return !sig_deliverable(c->w.g) ? IO_RETRY : c->timed ? -EINTR : -ERESTARTSYS;
	case IoHandoff:
		return IO_HANDOFF;
	}
	throw("io_wait: unknown wake");
}

static bool is_listening(int fd)
{
	int v = 0, len = sizeof(v);
	return sys5(__NR_getsockopt, fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len) == 0 && v;
}

/* One that a signal kept from being made (-ERESTARTNOINTR) is made after the handler, unless somebody may have seen it wait
 * and sent the signal to end that. */
static long result_of(const struct iocall *c, long ret)
{
	if (likely(ret != -EINTR && ret != -ERESTARTNOINTR))
		return ret;
	if (ret == -ERESTARTNOINTR && !c->waited)
		return ret;
	return c->timed ? -EINTR : -ERESTARTSYS;
}

static long hand_off(struct iocall *c, bool at_once)
{
	const struct regs *r = c->r;
	const long a[6] = { c->a[0], (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r) };
	/* One that was found ready does not block as a rule, and may still reach the number's old file: who closes it waits
	 * for us. One that blocks is not waited for. */
	if (c->waited && at_once)
		store_rel(&c->w.state, 0);
	return result_of(c, at_once ? blocking_syscall_long(getg(), (long)r->rax, a) :
				      blocking_syscall(getg(), (long)r->rax, a));
}

long io_block(struct iocall *c)
{
	if (c->waited)
		store_rel(&c->w.state, 0);
	return result_of(c, blocking_syscall(getg(), c->nr, c->a));
}

long io_end(struct iocall *c, long ret)
{
	if (ret == IO_HANDOFF)
		ret = hand_off(c, true);
	if (c->waited)
		iowait_end(&c->w);
	return ret;
}

long io_loop(struct iocall *c)
{
	long ret;
	do {
		ret = io_try(c);
		if (ret != -EAGAIN)
			break;
		ret = io_wait(c);
		if (ret == IO_HANDOFF)
			return io_end(c, ret);
	} while (ret == IO_RETRY);
	if (c->waited)
		iowait_end(&c->w);
	return ret;
}

/* poll does not know that a FIFO opened with O_NONBLOCK is at its end before somebody has opened it for writing. vmsplice knows: it
 * reads and never waits, and takes nothing where it cannot write. To one that the program may write to it would write. */
static bool fifo_is_at_end(int fd)
{
	static const char nowhere = 0;
	const struct kiovec v = { (uintptr_t)&nowhere, 1 };
	long ret;
	do
		ret = sys4(__NR_vmsplice, fd, &v, 1, SPLICE_F_NONBLOCK);
	while (ret == -EINTR); /* by a signal of any kind, as kernel_poll */
	return ret == 0;
}

long io_poll_first(struct iocall *c, short events)
{
	for (;;) {
		struct pollfd p = { (int)c->a[0], events, 0 };
		c->seen = fdesc_seen(c->e, c->dir);
		bool now = kernel_poll(&p, 1) != 0;
		if (now || (c->accepts && !is_listening(p.fd))) {
			long ret = hand_off(c, false);
			if (c->waited)
				iowait_end(&c->w);
			return ret;
		}
		if (c->pipe && !c->waited) {
			long access = sys3(__NR_fcntl, p.fd, F_GETFL, 0) & O_ACCMODE;
			if (access == O_WRONLY)
				return hand_off(c, false); /* -EBADF: no event comes */
			if (access == O_RDONLY && fifo_is_at_end(p.fd))
				return 0;
		}
		/* The kernel takes the new number before it looks who is there. */
		long ret = c->accepts && !c->waited ? netpoll_number_left() : 0;
		if (ret == 0)
			ret = io_wait(c);
		/* With O_NONBLOCK the kernel is to say what there is: the end, of a FIFO that nobody writes to. */
		if (ret == -EAGAIN && !c->waited)
			return hand_off(c, false);
		if (ret != IO_RETRY)
			return io_end(c, ret);
	}
}
