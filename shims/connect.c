/* connect.c - accept and connect.
 *
 * Neither has a non-blocking form of its own. accept: poll says whether somebody is there, then the call itself; if
 * another process took the connection meanwhile, the M blocks in it, as it would natively. The new descriptor is of
 * the listener's kind, which saves asking.
 *
 * connect: handed off; the P is retaken after 20 µs, the M stays until the peer has answered. Rejected: O_NONBLOCK
 * for the time of the call (others may share the open file), and sendto with MSG_FASTOPEN | MSG_DONTWAIT, which does
 * connect without blocking, but asks for a fast-open cookie on the wire.
 */
#include "io.h"
#include <linux/poll.h>

#define SOCK_NONBLOCK 04000

static long accept_any(struct regs *r, long flags)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e || fd_nonblocking(e)))
		return shim_may_block(r);
	enum fdkind k = fd_kind(e, fd);
	if (unlikely(!kind_is_socket(k)))
		return shim_may_block(r);
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	c.sock = true;
	long ret = io_poll_first(&c, POLLIN);
	if (ret >= 0) {
		uint32_t epoch = load_acq(&fd_epoch);
		fd_fresh((int)ret, k);
		struct fdesc *n = fdesc_get((int)ret);
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
	return accept_any(r, (long)A4(r));
}

long shim_connect(struct regs *r)
{
	return shim_may_block(r);
}
