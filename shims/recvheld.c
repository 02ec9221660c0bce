/* recvheld.c - receiving calls that wait until so much has come: from a stream with SO_RCVLOWAT, by recvmsg with MSG_WAITALL, and
 * peeking with it. They cannot be tried with MSG_DONTWAIT, which takes what there is.
 *
 * For TCP's SO_RCVLOWAT poll and epoll go by the mark, so the thread parks until they say that there is so much.
 *
 * The others are handed to the kernel. A signal makes them return what there is; natively that is one of the calling thread's
 * own. Where the kernel thread had one for another G, or a kick, the call must go on: whenever it got too little and nothing
 * else can have ended it, as signals leave no trace that can be relied on (the kernel may wake a kernel thread for one that
 * another takes). The rest is asked for by a call that waits for just what is missing, since the mark would be counted anew.
 * What else ends a call: an error, which for TCP is the next call's to report; ancillary data, of which MSG_CTRUNC tells if the
 * call has no room for it. One that has is not continued.
 *
 * A socket's timeout the kernel would begin anew in each call. With one the thread takes what there is, parks, and so on until
 * there is as much as is waited for. Not where the mark decides what is an event (TCP), or where the kernel compares whose
 * messages follow each other (SO_PASSCRED).
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
#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

static long option(int fd, int which)
{
	int v = 0, len = sizeof(v);
	return sys5(__NR_getsockopt, fd, SOL_SOCKET, which, &v, &len) < 0 ? -1 : v;
}

static bool is_tcp(int fd)
{
	return option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

static bool has_timeout(int fd)
{
	int64_t tv[2] = { 0, 0 };
	int len = sizeof(tv);
	return sys5(__NR_getsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, tv, &len) < 0 || tv[0] || tv[1];
}

/* After a call that got too little, or was ended without a signal of g's own. */
static bool goes_on(struct g *g, int fd, bool peeks)
{
	if (sig_deliverable(g) || has_timeout(fd) || sys3(__NR_fcntl, fd, F_GETFL, 0) & O_NONBLOCK)
		return false;
	struct pollfd p = { fd, (short)(POLLPRI | (peeks ? POLLRDHUP : 0)), 0 };
	return !is_tcp(fd) || kernel_poll(&p, 1) == 0;
}

static bool is_interrupted(long ret)
{
	return ret == -EINTR || ret == -ERESTARTSYS || ret == -ERESTARTNOINTR;
}

/* How much a call waits for that has room for `total`. */
static size_t awaited(int fd, long flags, size_t total)
{
	long low = flags & MSG_WAITALL ? INT64_MAX : option(fd, SO_RCVLOWAT);
	return low < 1 ? 1 : (size_t)low < total ? (size_t)low : total;
}

static void iov_shorten(const struct iovcopy *c, size_t total)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].len > total)
			c->v[i].len = total;
		total -= c->v[i].len;
	}
}

static long receive(struct g *g, int fd, const void *msg, long flags)
{
	const long a[6] = { fd, (long)msg, flags };
	long ret = blocking_syscall(g, __NR_recvmsg, a);
	return ret == -EINTR ? sock_interrupted(fd, DirRead) : ret;
}

/* With the socket's timeout; umsg as below. */
static long receive_until(struct regs *r, struct fdesc *e, const struct iovcopy *iov, size_t want, long flags, uintptr_t umsg)
{
	struct kmsghdr h = { .iov = (uintptr_t)iov->v, .iovlen = iov->n };
	struct kiovec *v = iov->v;
	size_t n = iov->n, done = 0;
	struct iocall c;
	long ret = 0;
	io_begin(&c, r, e, DirRead);
	c.nr = __NR_recvmsg;
	c.a[1] = umsg ? (long)umsg : (long)&h;
	c.a[2] = (flags & ~(long)MSG_WAITALL) | MSG_DONTWAIT;
	c.sock = true;
	for (;;) {
		if (done && sock_is_broken((int)c.a[0]) && sock_is_read((int)c.a[0]))
			break;
		ret = io_try(&c);
		if (ret == -EAGAIN) {
			ret = io_wait(&c);
			if (ret == IO_RETRY)
				continue;
			if (ret == IO_HANDOFF) {
				c.a[2] = flags;
				ret = io_block(&c);
				done += ret > 0 ? (size_t)ret : 0;
			}
			break;
		}
		if (ret <= 0)
			break;
		done += (size_t)ret;
		if (done >= want || (c.a[1] == (long)umsg && user_read(&h, umsg, sizeof(h))) || h.flags & MSG_CTRUNC)
			break;
		iov_advance(&v, &n, (size_t)ret);
		h = (struct kmsghdr){ .iov = (uintptr_t)v, .iovlen = n };
		c.a[1] = (long)&h;
	}
	if (c.waited)
		iowait_end(&c.w);
	return done ? (long)done : ret;
}

/* As much as is waited for, into the list; umsg: the program's message, if it made one. */
static long receive_all(struct regs *r, struct fdesc *e, struct iovcopy *c, size_t total, long flags, uintptr_t umsg)
{
	struct g *g = getg();
	int fd = (int)A1(r);
	if (has_timeout(fd) && !(is_tcp(fd) && option(fd, SO_RCVLOWAT) > 1) && option(fd, SO_PASSCRED) <= 0)
		return receive_until(r, e, c, awaited(fd, flags, total < MAX_RW_COUNT ? total : MAX_RW_COUNT), flags, umsg);
	struct kmsghdr h = { .iov = (uintptr_t)c->v, .iovlen = c->n };
	long ret = receive(g, fd, umsg ? (const void *)umsg : &h, flags);
	size_t want = total < MAX_RW_COUNT ? total : MAX_RW_COUNT, done = (size_t)ret;
	if (likely(ret <= 0 || done >= want || (umsg && user_read(&h, umsg, sizeof(h)))))
		return ret;
	want = awaited(fd, flags, want);
	iov_shorten(c, want);
	struct kiovec *v = c->v;
	size_t n = c->n;
	while ((ret > 0 || is_interrupted(ret)) && done < want && !(h.flags & MSG_CTRUNC) && goes_on(g, fd, false)) {
		if (ret > 0)
			iov_advance(&v, &n, (size_t)ret);
		h = (struct kmsghdr){ .iov = (uintptr_t)v, .iovlen = n };
		ret = receive(g, fd, &h, flags | MSG_WAITALL);
		done += ret > 0 ? (size_t)ret : 0;
	}
	return (long)done;
}

/* Each look begins at the same place, so a later one can be taken as it is. AF_UNIX does not wait. */
static long peek_all(struct regs *r)
{
	struct g *g = getg();
	int fd = (int)A1(r);
	long got = sock_may_block(r, DirRead), ret = got;
	if (ret <= 0 || !is_tcp(fd))
		return ret;
	while ((ret > 0 || is_interrupted(ret)) && (uint64_t)got < A3(r) && goes_on(g, fd, true)) {
		ret = sock_may_block(r, DirRead);
		got = ret > 0 ? ret : got;
	}
	return got;
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

/* read or recvfrom */
long recv_held(struct regs *r, struct fdesc *e, long flags)
{
	struct iocall c;
	if ((flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL))
		return peek_all(r);
	if (!(flags & MSG_WAITALL) && is_tcp((int)A1(r))) {
		io_begin(&c, r, e, DirRead);
		if (c.nr == __NR_read)
			c.a[4] = c.a[5] = 0;
		c.nr = __NR_recvfrom;
		c.a[3] = flags | MSG_DONTWAIT;
		return when_enough(&c, A3(r));
	}
	if (flags & MSG_PEEK || (r->rax == __NR_recvfrom && A5(r)))
		return sock_may_block(r, DirRead);
	size_t room = A3(r) < MAX_RW_COUNT ? A3(r) : MAX_RW_COUNT;
	struct iovcopy iov = { .small = { { A2(r), room } }, .n = 1 };
	iov.v = iov.small;
	return receive_all(r, e, &iov, room, flags, 0);
}

/* readv or recvmsg: the list is the program's, and h what a call of recvmsg is to be told. */
static long scattered(struct regs *r, struct fdesc *e, struct kmsghdr *h, uintptr_t umsg, long flags)
{
	struct iovcopy iov;
	struct iocall c;
	long total = iov_copy(&iov, h->iov, h->iovlen);
	if (total <= 0)
		return sock_may_block(r, DirRead); /* the kernel says which error */
	long ret;
	if (!(flags & MSG_WAITALL) && is_tcp((int)A1(r))) {
		io_begin(&c, r, e, DirRead);
		c.nr = __NR_recvmsg;
		c.a[1] = umsg ? (long)umsg : (long)h;
		c.a[2] = flags | MSG_DONTWAIT;
		ret = when_enough(&c, (size_t)total);
	} else if (flags & MSG_PEEK || h->name || h->controllen) {
		ret = sock_may_block(r, DirRead);
	} else {
		ret = receive_all(r, e, &iov, (size_t)total, flags, umsg);
	}
	iov_free(&iov);
	return ret;
}

long readv_held(struct regs *r, struct fdesc *e)
{
	struct kmsghdr h = { .iov = A2(r), .iovlen = A3(r) };
	return scattered(r, e, &h, 0, 0);
}

long recvmsg_held(struct regs *r, struct fdesc *e, long flags)
{
	struct kmsghdr h;
	return user_read(&h, A2(r), sizeof(h)) ? sock_may_block(r, DirRead) : scattered(r, e, &h, A2(r), flags);
}
