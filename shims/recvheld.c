/* recvheld.c - receiving calls that wait until so much has come: from a stream with SO_RCVLOWAT, by recvmsg with MSG_WAITALL, and
 * peeking with it. They cannot be tried with MSG_DONTWAIT, which takes what there is.
 *
 * For TCP's SO_RCVLOWAT poll and epoll go by the mark, so the thread parks until they say that there is so much.
 *
 * The others are handed to the kernel as they stand. A signal makes them return what there is; natively that is one of the
 * calling thread's own. The kernel thread may meet one that another G takes, or a kick, after which the call must go on: g->met
 * says that there was one. The rest is asked for by a call that waits for just what is missing, as the mark would be counted
 * anew. Ancillary data, which belongs to the bytes that it came with, is left alone: a call that has room for it is not
 * continued.
 */
#include "../runtime/sig.h"
#include "io.h"
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <linux/in.h>
#include <linux/poll.h>
#include <linux/socket.h>

#define MSG_PEEK 0x2
#define MSG_DONTWAIT 0x40
#define MSG_WAITALL 0x100

static inline void signals_begin(struct g *g)
{
	store_rlx(&g->met, 0);
}

static inline bool met_anothers(struct g *g)
{
	return unlikely(load_rlx(&g->met)) && !sig_deliverable(g);
}

/* How much a call waits for that has room for `total`. */
static size_t awaited(int fd, long flags, size_t total)
{
	int low = 1, len = sizeof(low);
	if (flags & MSG_WAITALL)
		return total;
	if (sys5(__NR_getsockopt, fd, SOL_SOCKET, SO_RCVLOWAT, &low, &len) < 0 || low < 1)
		low = 1;
	return (size_t)low < total ? (size_t)low : total;
}

static void iov_shorten(const struct iovcopy *c, size_t total)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].len > total)
			c->v[i].len = total;
		total -= c->v[i].len;
	}
}

/* The call got the first `got` bytes of the list, less than it waits for. */
static long receive_rest(struct g *g, int fd, struct iovcopy *c, long flags, size_t want, size_t got)
{
	struct kiovec *v = c->v;
	size_t n = c->n, done = got;
	iov_shorten(c, want);
	while (got && done < want && met_anothers(g)) {
		iov_advance(&v, &n, got);
		struct kmsghdr h = { .iov = (uintptr_t)v, .iovlen = n };
		const long a[6] = { fd, (long)&h, flags | MSG_WAITALL };
		signals_begin(g);
		long ret = blocking_syscall(g, __NR_recvmsg, a);
		got = ret > 0 ? (size_t)ret : 0;
		done += got;
	}
	return (long)done;
}

static __attribute__((noinline)) long cut_short(struct regs *r, uintptr_t uiov, size_t n, long flags, long got)
{
	struct iovcopy iov;
	int fd = (int)A1(r);
	long total = iov_copy(&iov, uiov, n);
	if (total < 0)
		return got;
	if ((size_t)total > MAX_RW_COUNT)
		total = MAX_RW_COUNT;
	size_t want = awaited(fd, flags, (size_t)total);
	if ((size_t)got < want)
		got = receive_rest(getg(), fd, &iov, flags, want, (size_t)got);
	iov_free(&iov);
	return got;
}

/* Each look begins at the same place, so a later one can be taken as it is. */
static long peek_all(struct regs *r)
{
	struct g *g = getg();
	signals_begin(g);
	long got = shim_may_block(r), ret = got;
	while (ret > 0 && (uint64_t)ret < A3(r) && met_anothers(g)) {
		signals_begin(g);
		ret = shim_may_block(r);
		got = ret > 0 ? ret : got;
	}
	return got;
}

static bool is_tcp(int fd)
{
	int protocol = 0, len = sizeof(protocol);
	return sys5(__NR_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

/* c->nr and c->a take what there is; that counts when the call can wait no longer. */
static long when_enough(struct iocall *c, size_t room)
{
	int fd = (int)c->a[0], there = 0;
	if (sys3(__NR_ioctl, fd, FIONREAD, &there) == 0 && (size_t)there >= awaited(fd, 0, room))
		return shim_may_block(c->r);
	c->sock = true;
	long ret = io_poll_first(c, POLLIN);
	if (c->waited && (ret == -EAGAIN || ret == -EINTR || ret == -ERESTARTSYS)) {
		long got = io_try(c);
		return got > 0 ? got : ret;
	}
	return ret;
}

/* read or recvfrom */
long recv_held(struct regs *r, struct fdesc *e, long flags)
{
	struct g *g = getg();
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
	signals_begin(g);
	long ret = shim_may_block(r);
	if (likely(ret <= 0 || (uint64_t)ret >= A3(r) || flags & MSG_PEEK || !met_anothers(g)))
		return ret;
	struct kiovec v = { A2(r), A3(r) };
	return cut_short(r, (uintptr_t)&v, 1, flags, ret);
}

/* readv or recvmsg: the list is the program's, and h what a call of recvmsg is to be told. */
static long scattered(struct regs *r, struct fdesc *e, struct kmsghdr *h, uintptr_t umsg, long flags)
{
	struct g *g = getg();
	struct iovcopy iov;
	struct iocall c;
	if (!(flags & MSG_WAITALL) && is_tcp((int)A1(r))) {
		long total = iov_copy(&iov, h->iov, h->iovlen);
		if (total <= 0)
			return shim_may_block(r); /* the kernel says which error */
		iov_free(&iov);
		io_begin(&c, r, e, DirRead);
		c.nr = __NR_recvmsg;
		c.a[1] = umsg ? (long)umsg : (long)h;
		c.a[2] = flags | MSG_DONTWAIT;
		return when_enough(&c, (size_t)total);
	}
	signals_begin(g);
	long ret = shim_may_block(r);
	if (likely(ret <= 0 || flags & MSG_PEEK || h->controllen || !met_anothers(g)))
		return ret;
	return cut_short(r, h->iov, h->iovlen, flags, ret);
}

long readv_held(struct regs *r, struct fdesc *e)
{
	struct kmsghdr h = { .iov = A2(r), .iovlen = A3(r) };
	return scattered(r, e, &h, 0, 0);
}

long recvmsg_held(struct regs *r, struct fdesc *e, long flags)
{
	struct kmsghdr h;
	return user_read(&h, A2(r), sizeof(h)) ? shim_may_block(r) : scattered(r, e, &h, A2(r), flags);
}
