/* recvheld.c - receiving calls on streams that wait until so much has come: with SO_RCVLOWAT, or with MSG_WAITALL (but for the plain
 * form on TCP, which is simpler: socket.c). With MSG_DONTWAIT the kernel gives what there is.
 *
 * So the thread takes what there is, parks, and so on until it has as much as is waited for. Each part is received with the
 * call's own room for an address and ancillary data, and what the last part says of these is the answer, as in the kernel.
 * On AF_UNIX descriptors end a call; where messages of different writers are kept apart (SO_PASSCRED, SO_PASSPIDFD) only
 * the kernel can tell where one ends, so there it does it all. A signal makes it return what there is, also one that is
 * for another G.
 *
 * For TCP's SO_RCVLOWAT poll and epoll go by the mark, so the thread parks until they say that there is so much. Peeking on
 * TCP it waits until FIONREAD says so, since each look begins at the same place.
 */
#include "../runtime/sig.h"
#include "io.h"
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/poll.h>
#include <linux/socket.h>

#define MSG_PEEK 0x2
#define MSG_CTRUNC 0x8
#define MSG_DONTWAIT 0x40
#define MSG_WAITALL 0x100
#define MSG_WAITFORONE 0x10000
#define SCM_RIGHTS 1
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* Linux 6.5 */
#endif
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

static long option(int fd, int which)
{
	int v = 0, len = sizeof(v);
	return sys5(__NR_getsockopt, fd, SOL_SOCKET, which, &v, &len) < 0 ? -1 : v;
}

static bool is_tcp(struct fdesc *e, int fd)
{
	enum fdkind k = (enum fdkind)load_rlx(&e->kind);
	return k == KindTCP || (k != KindStream && option(fd, SO_PROTOCOL) == IPPROTO_TCP);
}

/* How much a call waits for that has room for `total`. */
static size_t awaited(int fd, long flags, size_t total)
{
	long low = flags & MSG_WAITALL ? INT64_MAX : option(fd, SO_RCVLOWAT);
	return low < 1 ? 1 : (size_t)low < total ? (size_t)low : total;
}

struct kcmsghdr {
	size_t len;
	int level, type;
};

/* AF_UNIX puts nothing together with what comes after descriptors, whether there was room for them or not. */
static bool has_descriptors(int fd, const struct kmsghdr *h)
{
	struct kcmsghdr c;
	for (size_t at = 0; at + sizeof(c) <= h->controllen; at += (c.len + 7) & ~(size_t)7) {
		if (user_read(&c, h->control + at, sizeof(c)) || c.len < sizeof(c))
			break;
		if (c.level == SOL_SOCKET && c.type == SCM_RIGHTS)
			return true;
	}
	return h->flags & MSG_CTRUNC && option(fd, SO_PASSSEC) <= 0; /* of which there is nothing, but no room for it either */
}

/* The kernel goes no further: something was received, and urgent data follows, or on TCP an error, which the next call is to be told;
 * as is any error by a message that is not the first. */
static bool ends_here(int fd, bool tcp, bool part, bool later)
{
	struct pollfd p = { fd, 0, 0 };
	if (part && sock_is_at_mark(fd))
		return true;
	if (tcp)
		return (part || later) && sock_is_broken(fd) && sock_is_read(fd);
	return later && !part && kernel_poll(&p, 1) && p.revents & POLLERR && sock_is_read(fd);
}

/* As much as is waited for, into the list. msg is the room for the rest, and then the answer; later: other messages came before. */
static long receive_all(struct iocall *c, bool tcp, const struct iovcopy *iov, size_t total, long flags, struct kmsghdr *msg, bool later)
{
	const struct kmsghdr room = *msg;
	struct kmsghdr h;
	struct kiovec *v = iov->v;
	size_t n = iov->n, done = 0, want = awaited((int)c->a[0], flags, total);
	long ret = -EAGAIN;
	c->nr = __NR_recvmsg;
	c->a[1] = (long)&h;
	c->a[2] = flags | MSG_DONTWAIT;
	c->sock = true;
	for (;;) {
		if ((done || later) && ends_here((int)c->a[0], tcp, done > 0, later))
			break;
		h = room;
		h.iov = (uintptr_t)v;
		h.iovlen = n;
		ret = io_try(c);
		if (ret == -EAGAIN) {
			long end = io_wait(c);
			if (end == IO_RETRY)
				continue;
			want = 0;
			c->a[2] = end == IO_HANDOFF ? flags : c->a[2];
			ret = end == IO_HANDOFF ? io_block(c) : io_try(c); /* what has come by now counts */
			ret = ret == -EAGAIN && end != IO_HANDOFF ? end : ret;
		}
		if (ret > 0 || (ret == 0 && !done))
			*msg = h;
		done += ret > 0 ? (size_t)ret : 0;
		if (ret <= 0 || done >= want || (!tcp && has_descriptors((int)c->a[0], &h)))
			break;
		iov_advance(&v, &n, (size_t)ret);
	}
	return done ? (long)done : ret;
}

static long end_waits(struct iocall *c, long ret)
{
	if (c->waited)
		iowait_end(&c->w);
	return ret;
}

/* c->nr and c->a take what there is; that counts when it is so much, or no more comes. */
static long peek_all(struct iocall *c, size_t room)
{
	long ret;
	do {
		struct pollfd p = { (int)c->a[0], POLLPRI | POLLRDHUP, 0 };
		int there = 0;
		c->seen = fdesc_seen(c->e, c->dir);
		bool enough = sys3(__NR_ioctl, p.fd, FIONREAD, &there) != 0 || (size_t)there >= room || kernel_poll(&p, 1) != 0;
		ret = enough ? io_try(c) : -EAGAIN;
		if (ret == -EAGAIN)
			ret = io_wait(c);
	} while (ret == IO_RETRY);
	if (ret == -EAGAIN || ret == -EINTR || ret == -ERESTARTSYS) {
		long got = io_try(c);
		ret = got > 0 ? got : ret;
	}
	return io_end(c, ret);
}

/* c->nr and c->a take what there is; that counts when the call can wait no longer. */
static long when_enough(struct iocall *c, size_t room)
{
	int fd = (int)c->a[0], there = 0;
	if (sys3(__NR_ioctl, fd, FIONREAD, &there) == 0 && (size_t)there >= awaited(fd, 0, room))
		return sock_may_block(c->r, DirRead);
	c->sock = true;
	long ret = io_poll_first(c, POLLIN);
	bool by_signal = ret == -EINTR || ret == -ERESTARTSYS;
	/* A wait may also end for a look at signals that others take. */
	if (c->waited && (ret == -EAGAIN || (by_signal && sig_deliverable(getg())))) {
		long got = io_try(c);
		return got > 0 ? got : ret;
	}
	return ret;
}

enum how { AtOnce, InParts, ByKernel };

static enum how how_held(int fd, bool tcp, long flags)
{
	if (flags & MSG_PEEK || (tcp && !(flags & MSG_WAITALL)))
		return AtOnce;
	return !tcp && (option(fd, SO_PASSCRED) > 0 || option(fd, SO_PASSPIDFD) > 0) ? ByKernel : InParts;
}

/* On AF_UNIX a look waits for anything. */
static long take_at_once(struct iocall *c, bool tcp, size_t room, long flags)
{
	c->sock = true;
	if (!tcp)
		return io_loop(c);
	return flags & MSG_WAITALL ? peek_all(c, room) : when_enough(c, room);
}

/* read or recvfrom */
long recv_held(struct regs *r, struct fdesc *e, long flags)
{
	struct iocall c;
	bool tcp = is_tcp(e, (int)A1(r));
	enum how how = how_held((int)A1(r), tcp, flags);
	size_t room = A3(r) < MAX_RW_COUNT ? A3(r) : MAX_RW_COUNT;
	struct kmsghdr h = { .name = r->rax == __NR_recvfrom ? A5(r) : 0 };
	io_begin(&c, r, e, DirRead);
	if (how == AtOnce) {
		if (c.nr == __NR_read)
			c.a[4] = c.a[5] = 0;
		c.nr = __NR_recvfrom;
		c.a[3] = flags | MSG_DONTWAIT;
		return take_at_once(&c, tcp, room, flags);
	}
	if (how == ByKernel || (h.name && (user_read(&h.namelen, A6(r), sizeof(h.namelen)) || h.namelen < 0)))
		return sock_may_block(r, DirRead);
	struct iovcopy iov = { .small = { { A2(r), room } }, .n = 1 };
	iov.v = iov.small;
	long ret = end_waits(&c, receive_all(&c, tcp, &iov, room, flags, &h, false));
	return h.name && ret >= 0 && user_write(A6(r), &h.namelen, sizeof(h.namelen)) ? -EFAULT : ret;
}

static long answer(uintptr_t umsg, const struct kmsghdr *h, long ret)
{
	if (h->name && user_write(umsg + offsetof(struct kmsghdr, namelen), &h->namelen, sizeof(h->namelen)))
		return -EFAULT;
	return user_write(umsg + offsetof(struct kmsghdr, controllen), &h->controllen, sizeof(h->controllen)) ||
			       user_write(umsg + offsetof(struct kmsghdr, flags), &h->flags, sizeof(h->flags)) ?
		       -EFAULT :
		       ret;
}

/* readv or recvmsg, which c has begun; its waits are to be ended. The list is the program's; umsg: its message, of which h is a copy,
 * or 0. */
static long scattered(struct iocall *c, struct kmsghdr *h, uintptr_t umsg, long flags, bool later)
{
	struct iovcopy iov;
	int fd = (int)c->a[0];
	bool tcp = is_tcp(c->e, fd);
	enum how how = how_held(fd, tcp, flags);
	long ret, total = how == ByKernel ? 0 : iov_copy(&iov, h->iov, h->iovlen);
	if (total <= 0)
		return sock_may_block(c->r, DirRead); /* the kernel says which error */
	size_t room = (size_t)total < MAX_RW_COUNT ? (size_t)total : MAX_RW_COUNT;
	if (how == AtOnce) {
		struct iocall once;
		io_begin(&once, c->r, c->e, DirRead);
		once.nr = __NR_recvmsg;
		once.a[1] = umsg ? (long)umsg : (long)h;
		once.a[2] = flags | MSG_DONTWAIT;
		ret = take_at_once(&once, tcp, room, flags);
	} else {
		ret = receive_all(c, tcp, &iov, room, flags, h, later);
		if (umsg && ret >= 0)
			ret = answer(umsg, h, ret);
	}
	iov_free(&iov);
	return ret;
}

long readv_held(struct regs *r, struct fdesc *e)
{
	struct kmsghdr h = { .iov = A2(r), .iovlen = A3(r) };
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	return end_waits(&c, scattered(&c, &h, 0, 0, false));
}

static long message(struct iocall *c, long flags, bool later)
{
	uintptr_t umsg = A2(c->r);
	struct kmsghdr h;
	return user_read(&h, umsg, sizeof(h)) ? sock_may_block(c->r, DirRead) : scattered(c, &h, umsg, flags, later);
}

long recvmsg_held(struct regs *r, struct fdesc *e, long flags)
{
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	return end_waits(&c, message(&c, flags, false));
}

/* It receives one message after the other and waits for each, on the file that the number was at the beginning. An error that
 * is known then is told first, one that comes after a message is left to the next call. */
long recvmmsg_held(struct regs *r, struct fdesc *e, long flags, int64_t deadline)
{
	struct regs now = *r;
	struct iocall c;
	unsigned done = 0;
	long ret = sys5(__NR_recvmmsg, (int)A1(r), A2(r), 0, MSG_DONTWAIT, 0);
	now.rax = __NR_recvmsg;
	now.rdx = (uint64_t)(flags & ~(long)MSG_WAITFORONE);
	io_begin(&c, &now, e, DirRead);
	while (ret >= 0 && done < (unsigned)A3(r)) {
		now.rdi = (uint64_t)c.a[0];
		if (!(now.rdx & MSG_DONTWAIT))
			ret = message(&c, (long)now.rdx, done > 0);
		else
			ret = ends_here((int)c.a[0], is_tcp(c.e, (int)c.a[0]), false, true) ? -EAGAIN : shim_raw(&now);
		unsigned len = (unsigned)ret;
		if (ret >= 0 && user_write(now.rsi + sizeof(struct kmsghdr), &len, sizeof(len)))
			ret = -EFAULT;
		if (ret < 0)
			break;
		done++;
		now.rsi += SIZEOF_MMSGHDR;
		if (flags & MSG_WAITFORONE)
			now.rdx |= MSG_DONTWAIT;
		if (deadline && os_nanotime() >= deadline)
			break;
		if (c.timed) { /* anew for each */
			c.w.deadline = deadline_after(c.timeout);
			c.late = false;
		}
	}
	return end_waits(&c, done ? (long)done : ret);
}
