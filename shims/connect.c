/* connect.c - accept and connect.
 *
 * Neither has a non-blocking form of its own. accept: poll says whether somebody is there, then the call itself; if
 * another process took the connection meanwhile, the M blocks in it, as it would natively. The new descriptor is of
 * the listener's kind, which saves asking.
 *
 * connect of a TCP socket: O_NONBLOCK is set for the length of the kernel's call, but only if nobody can see it: the
 * program made the socket itself and has neither forked nor doubled a descriptor nor sent one away since (fdesc_sole).
 * Then the G parks until the socket is writable, and a second, plain call fetches the result. All other sockets are
 * handed off: on AF_UNIX connect waits for a full backlog only, and a socket that may be shared is never touched.
 * Rejected: sendto with MSG_FASTOPEN | MSG_DONTWAIT, which does connect without blocking, but asks for a fast-open
 * cookie on the wire.
 */
#include "io.h"
#include <linux/fcntl.h>
#include <linux/poll.h>

#define SOCK_NONBLOCK 04000
#define SOCK_CLOEXEC 02000000

static long accept_any(struct regs *r, long flags)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e || fd_nonblocking(e)))
		return sock_may_block(r, DirRead);
	enum fdkind k = fd_kind(e, fd);
	if (unlikely(!kind_is_socket(k)))
		return sock_may_block(r, DirRead);
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	c.sock = c.accepts = true;
	struct fdorigin origin = fd_origin();
	long ret = io_poll_first(&c, POLLIN);
	if (ret >= 0) {
		uint32_t epoch = load_acq(&fd_epoch);
		fd_fresh((int)ret, k);
		struct fdesc *n = fdesc_get((int)ret);
		if (n)
			fdesc_made(n, origin);
		if (n && flags & SOCK_NONBLOCK)
			fdesc_set_flags(n, FD_NONBLOCK, epoch);
	}
	return ret;
}

long shim_accept(struct regs *r)
{
	return accept_any(r, 0);
}

long shim_accept4(struct regs *r)
{
	int flags = (int)A4(r);
	if (unlikely(flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))) /* an error at once, also if nobody is there */
		return sock_may_block(r, DirRead);
	return accept_any(r, flags);
}

/* The kernel's call with O_NONBLOCK. -EAGAIN: the program's own flag is set, or the flags cannot be changed. */
static long connect_unblocked(struct regs *r)
{
	int fd = (int)A1(r);
	long fl = sys3(__NR_fcntl, fd, F_GETFL, 0);
	if (fl < 0 || fl & O_NONBLOCK || sys3(__NR_fcntl, fd, F_SETFL, fl | O_NONBLOCK) < 0)
		return -EAGAIN;
	long ret = shim_raw(r);
	sys3(__NR_fcntl, fd, F_SETFL, fl);
	return ret;
}

long shim_connect(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	if (!e || load_rlx(&e->kind) != KindTCP || !fdesc_sole(e))
		return sock_may_block(r, DirWrite);
	struct iocall c;
	io_begin(&c, r, e, DirWrite);
	c.sock = true;
	c.seen = fdesc_seen(e, DirWrite);
	long ret = connect_unblocked(r);
	if (ret == -EAGAIN)
		return sock_may_block(r, DirWrite);
	if (ret != -EINPROGRESS && ret != -EALREADY)
		return ret;
	ret = io_poll_first(&c, POLLOUT);
	return ret == -EAGAIN ? -EINPROGRESS : ret; /* SO_SNDTIMEO */
}
