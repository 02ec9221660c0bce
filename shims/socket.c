/* socket.c - sending and receiving.
 *
 * Every try is the same call with MSG_DONTWAIT. read and write on a socket come here as recvfrom and sendto without an
 * address, which is what the kernel makes of them.
 *
 * A read of a TCP socket that returned less than was asked for has emptied the queue: data that comes later is an edge.
 * So the next read parks without a try (340 ns saved), unless an event came meanwhile, or the end, an error or urgent
 * data was ever reported, whose edge may be over although there is something to read. Not so on AF_UNIX, where a read
 * also stops short where ancillary data begins.
 *
 * A send on a stream goes on until all is sent, or, as a receive with MSG_WAITALL, until an error, which the next call is to
 * be told. SIGPIPE is only raised if nothing was sent, as in the kernel.
 * An AF_UNIX stream that is shut down for writing has no event for those that wait for room in it: shutdown wakes them.
 * A datagram socket that was shut down for reading is at its end for a call that may wait only: that one is the kernel's (io_wait).
 * A message send on AF_UNIX that finds the peer's queue full is handed off: the peer makes room without an event here,
 * unless the sockets are connected.
 */
#include "io.h"
#include <asm/socket.h>
#include <linux/socket.h>

#define SHUT_RD 0
#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_ERRQUEUE 0x2000
#define MSG_NOSIGNAL 0x4000
#define MSG_WAITFORONE 0x10000
#define MSG_FASTOPEN 0x20000000

static inline void note_drained(struct fdesc *e, enum fdkind k, long flags, uint32_t seen, long got, uint64_t wanted)
{
	if (k == KindTCP && !(flags & MSG_PEEK) && got > 0 && (uint64_t)got < wanted && load_rlx(&e->flags) & FD_REG)
		store_rlx(&e->drained, seen + 1);
}

/* --- receiving --- */

/* MSG_WAITALL on TCP: goes on until the buffer is full; the first part is there if ret > 0. */
static long recv_all(struct iocall *c, long ret)
{
	long done = 0, wanted = c->a[2];
	for (;;) {
		if (ret == IO_HANDOFF) {
			c->a[3] &= ~(long)MSG_DONTWAIT;
			ret = io_block(c);
			done += ret > 0 ? ret : 0;
			break;
		}
		if (ret != IO_RETRY) {
			if (ret <= 0)
				break;
			done += ret;
			if (done >= wanted)
				break;
			c->a[1] += ret;
			c->a[2] -= ret;
			c->a[4] = c->a[5] = 0;
		}
		if (done && (sock_is_at_mark((int)c->a[0]) || (sock_is_broken((int)c->a[0]) && sock_is_read((int)c->a[0]))))
			break;
		ret = io_try(c);
		if (ret == -EAGAIN)
			ret = io_wait(c);
	}
	if (c->waited)
		iowait_end(&c->w);
	return done ? done : ret;
}

static __attribute__((noinline)) long recv_wait(struct regs *r, struct fdesc *e, enum fdkind k, long flags,
						uint32_t seen, long ret)
{
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	if (c.nr == __NR_read)
		c.a[4] = c.a[5] = 0;
	c.nr = __NR_recvfrom;
	c.a[3] = flags | MSG_DONTWAIT;
	c.sock = true;
	c.seen = seen;
	if (ret == -EAGAIN)
		ret = io_wait(&c);
	if (flags & MSG_WAITALL && k == KindTCP) {
		if (A3(r) > MAX_RW_COUNT)
			c.a[2] = (long)MAX_RW_COUNT;
		return recv_all(&c, ret);
	}
	if (ret != IO_RETRY)
		return io_end(&c, ret);
	ret = io_loop(&c);
	if (c.e == e)
		note_drained(e, k, flags, c.seen, ret, (uint64_t)c.a[2]);
	return ret;
}

long sock_recv(struct regs *r, struct fdesc *e, enum fdkind k, long flags)
{
	bool call = r->rax == __NR_recvfrom;
	if (unlikely(!call && (long)A3(r) < 0))
		return shim_raw(r); /* -EFAULT, which recvfrom does not say */
	if (unlikely(k == KindLowat || (flags & MSG_WAITALL && k == KindStream)))
		return recv_held(r, e, flags);
	uint32_t seen = fdesc_seen(e, DirRead);
	if (k == KindTCP && A3(r) && fd_drained(e))
		return recv_wait(r, e, k, flags, seen, -EAGAIN);
	long ret = sys6(__NR_recvfrom, (int)A1(r), (long)A2(r), (long)A3(r), flags | MSG_DONTWAIT,
			call ? (long)A5(r) : 0, call ? (long)A6(r) : 0);
	if (ret == -EAGAIN || (unlikely(flags & MSG_WAITALL) && ret > 0 && ret < (long)A3(r)))
		return recv_wait(r, e, k, flags, seen, ret);
	note_drained(e, k, flags, seen, ret, A3(r));
	return ret;
}

/* With these a receiving call does not wait, except where a family of sockets ignores them (AF_UNIX and MSG_ERRQUEUE). */
#define HARDLY_WAITS (MSG_ERRQUEUE | MSG_OOB)

long shim_recvfrom(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long flags = (long)(int)A4(r);
	if (flags & MSG_DONTWAIT)
		return shim_raw(r);
	if (unlikely(!e || flags & HARDLY_WAITS))
		return sock_may_block(r, DirRead);
	/* Peeking until so much is there: no event tells when, short of trying at each one. */
	if (unlikely((flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL)))
		return recv_held(r, e, flags);
	return sock_recv(r, e, fd_kind(e, (int)A1(r)), flags);
}

/* Message sockets disregard both. */
static bool waits_for_more(enum fdkind k, long flags)
{
	return k == KindLowat || (flags & MSG_WAITALL && (k == KindTCP || k == KindStream));
}

long shim_recvmsg(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long flags = (long)(int)A3(r);
	struct iocall c;
	if (flags & MSG_DONTWAIT)
		return shim_raw(r);
	if (unlikely(!e || flags & HARDLY_WAITS))
		return sock_may_block(r, DirRead);
	if (unlikely(waits_for_more(fd_kind(e, (int)A1(r)), flags)))
		return recvmsg_held(r, e, flags);
	io_begin(&c, r, e, DirRead);
	c.a[2] = flags | MSG_DONTWAIT;
	c.sock = true;
	return io_loop(&c);
}

static long receive_messages(struct regs *r, struct fdesc *e, long flags, int64_t deadline)
{
	struct iocall c;
	long done = 0, ret;
	io_begin(&c, r, e, DirRead);
	c.a[3] = (flags & ~(long)MSG_WAITFORONE) | MSG_DONTWAIT;
	c.a[4] = 0;
	c.sock = true;
	for (;;) {
		ret = io_try(&c);
		if (ret > 0) {
			done += ret;
			c.a[1] += ret * SIZEOF_MMSGHDR;
			c.a[2] -= ret;
			if (c.a[2] <= 0 || flags & MSG_WAITFORONE || (deadline && os_nanotime() >= deadline))
				break;
		} else if (ret != -EAGAIN) {
			break;
		}
		ret = io_wait(&c);
		if (ret == IO_HANDOFF) {
			c.a[3] = flags;
			ret = io_block(&c);
			done += ret > 0 ? ret : 0;
			break;
		}
		if (ret != IO_RETRY)
			break;
	}
	if (c.waited)
		iowait_end(&c.w);
	return done ? done : ret;
}

/* The timeout of recvmmsg is looked at after each message only (recvmmsg(2), BUGS). */
long shim_recvmmsg(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long flags = (long)(int)A4(r);
	int64_t ns = -1, deadline = 0;
	int err = A5(r) ? user_read_timespec(A5(r), &ns) : 0;
	if (err)
		return err;
	if (flags & MSG_DONTWAIT)
		return shim_raw(r);
	if (unlikely(!e || flags & HARDLY_WAITS))
		return sock_may_block(r, DirRead);
	if (ns >= 0)
		deadline = deadline_after(ns);
	bool held = unlikely(waits_for_more(fd_kind(e, (int)A1(r)), flags));
	long ret = held ? recvmmsg_held(r, e, flags, deadline) : receive_messages(r, e, flags, deadline);
	if (ret > 0 && ns >= 0) {
		int64_t left = deadline - os_nanotime();
		struct ktimespec ts = { left > 0 ? left / NSEC_PER_SEC : 0, left > 0 ? left % NSEC_PER_SEC : 0 };
		if (user_write(A5(r), &ts, sizeof(ts)))
			return -EFAULT;
	}
	return ret;
}

/* --- sending --- */

/* The rest of a stream send from a buffer; ret is what the first try gave. */
static __attribute__((noinline)) long send_rest(struct regs *r, struct fdesc *e, enum fdkind k, long flags, uint32_t seen,
						long ret)
{
	struct iocall c;
	long done = 0, total = (long)(A3(r) < MAX_RW_COUNT ? A3(r) : MAX_RW_COUNT);
	io_begin(&c, r, e, DirWrite);
	c.a[2] = total;
	if (c.nr == __NR_write)
		c.a[4] = c.a[5] = 0;
	c.nr = __NR_sendto;
	c.a[3] = flags | MSG_DONTWAIT;
	c.sock = true;
	c.seen = seen;
	for (;;) {
		if (ret > 0) {
			done += ret;
			if (done >= total)
				break;
			c.a[1] += ret;
			c.a[2] -= ret;
			c.a[3] |= MSG_NOSIGNAL;
		} else if (ret == -EAGAIN) {
			ret = io_wait(&c);
			if (ret == IO_HANDOFF) {
				c.a[3] &= ~(long)MSG_DONTWAIT;
				ret = io_block(&c);
				done += ret > 0 ? ret : 0;
				break;
			}
			if (ret != IO_RETRY)
				break;
		} else {
			break;
		}
		if (done && k != KindStream && sock_is_broken((int)c.a[0]))
			break;
		ret = io_try(&c);
	}
	if (c.waited)
		iowait_end(&c.w);
	return done ? done : ret;
}

static __attribute__((noinline)) long send_message_wait(struct regs *r, struct fdesc *e, enum fdkind k, long flags,
							 uint32_t seen)
{
	struct iocall c;
	if (k == KindUnixMsg)
		return sock_blocks_long(r, DirWrite);
	io_begin(&c, r, e, DirWrite);
	if (c.nr == __NR_write)
		c.a[4] = c.a[5] = 0;
	c.nr = __NR_sendto;
	c.a[3] = flags | MSG_DONTWAIT;
	c.sock = true;
	c.seen = seen;
	long ret = io_wait(&c);
	return ret == IO_RETRY ? io_loop(&c) : io_end(&c, ret);
}

long sock_send(struct regs *r, struct fdesc *e, enum fdkind k, long flags)
{
	bool call = r->rax == __NR_sendto;
	if (unlikely(!call && (long)A3(r) < 0))
		return shim_raw(r); /* -EFAULT, which sendto does not say */
	bool stream = k == KindTCP || k == KindStream || k == KindLowat;
	uint32_t seen = fdesc_seen(e, DirWrite);
	if (!call && k == KindSeq)
		flags |= MSG_EOR;
	long ret = sys6(__NR_sendto, (int)A1(r), (long)A2(r), (long)A3(r), flags | MSG_DONTWAIT, call ? (long)A5(r) : 0,
			call ? (long)A6(r) : 0);
	if (stream && (ret == -EAGAIN || (ret > 0 && ret < (long)A3(r))))
		return send_rest(r, e, k, flags, seen, ret);
	if (!stream && ret == -EAGAIN)
		return send_message_wait(r, e, k, flags, seen);
	return ret;
}

long shim_sendto(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long flags = (long)(int)A4(r);
	if (flags & MSG_DONTWAIT)
		return shim_raw(r);
	/* MSG_FASTOPEN connects, too. */
	if (unlikely(!e || flags & MSG_FASTOPEN))
		return shim_may_block(r);
	return sock_send(r, e, fd_kind(e, (int)A1(r)), flags);
}

long shim_shutdown(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long ret = shim_raw(r);
	if (ret == 0 && A2(r) != SHUT_RD && e)
		fdesc_try_again(e, DirWrite);
	return ret;
}

/* Sends what h describes on a stream until all is sent. first: the message as the program gave it (with ancillary data),
 * or 0; its result is ret. */
static long sendmsg_stream(struct iocall *c, enum fdkind k, struct kmsghdr *h, struct iovcopy *iov, long total, long flags)
{
	long done = 0;
	struct kiovec *v = iov->v;
	for (;;) {
		if (done && k != KindStream && sock_is_broken((int)c->a[0]))
			return done;
		long ret = io_try(c);
		if (ret == -EAGAIN) {
			ret = io_wait(c);
			if (ret == IO_RETRY)
				continue;
			if (ret == IO_HANDOFF) {
				c->a[2] &= ~(long)MSG_DONTWAIT;
				ret = io_block(c);
				done += ret > 0 ? ret : 0;
			}
			return done ? done : ret;
		}
		if (ret < 0)
			return done ? done : ret;
		done += ret;
		if (done >= total)
			return done;
		iov_advance(&v, &iov->n, (size_t)ret);
		h->iov = (uintptr_t)v;
		h->iovlen = iov->n;
		h->name = h->control = 0;
		h->namelen = 0;
		h->controllen = 0;
		c->a[1] = (long)h;
		c->a[2] = flags | MSG_DONTWAIT | MSG_NOSIGNAL;
	}
}

static long sendmsg_any(struct regs *r, struct fdesc *e, enum fdkind k, struct kmsghdr *h, uintptr_t umsg, long flags)
{
	struct iovcopy iov;
	struct iocall c;
	io_begin(&c, r, e, DirWrite);
	c.nr = __NR_sendmsg;
	c.a[1] = umsg ? (long)umsg : (long)h;
	c.a[2] = flags | MSG_DONTWAIT;
	c.sock = true;
	if (k != KindTCP && k != KindStream && k != KindLowat) {
		if (k != KindUnixMsg)
			return io_loop(&c);
		long ret = io_try(&c);
		return ret == -EAGAIN ? sock_blocks_long(r, DirWrite) : ret;
	}
	long total = iov_copy(&iov, h->iov, h->iovlen);
	if (total < 0)
		return shim_may_block(r); /* the kernel says which error */
	if (!umsg)
		h->iov = (uintptr_t)iov.v;
	long ret = sendmsg_stream(&c, k, h, &iov, total, flags);
	if (c.waited)
		iowait_end(&c.w);
	iov_free(&iov);
	return ret;
}

long shim_sendmsg(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long flags = (long)(int)A3(r);
	struct kmsghdr h;
	if (user_read(&h, A2(r), sizeof(h)) || unlikely(!e))
		return shim_may_block(r);
	if (h.controllen)
		fd_leak(); /* it may carry descriptors away */
	if (flags & MSG_DONTWAIT)
		return shim_raw(r);
	if (flags & MSG_FASTOPEN)
		return shim_may_block(r);
	return sendmsg_any(r, e, fd_kind(e, (int)A1(r)), &h, A2(r), flags);
}

/* writev of nothing asks no socket, while sendmsg of nothing sends an empty message, or says that nobody is connected. */
long sock_writev(struct regs *r, struct fdesc *e, enum fdkind k)
{
	struct kmsghdr h = { .iov = A2(r), .iovlen = A3(r) };
	if (unlikely(iov_is_nothing(h.iov, h.iovlen)))
		return shim_raw(r);
	return sendmsg_any(r, e, k, &h, 0, k == KindSeq ? MSG_EOR : 0);
}

/* The kernel sends the messages one by one; so a blocking one in the middle is waited for and the rest follows. */
long shim_sendmmsg(struct regs *r)
{
	struct fdesc *e = fdesc_get((int)A1(r));
	long flags = (long)(int)A4(r);
	fd_leak();
	if (flags & MSG_DONTWAIT)
		return shim_raw(r);
	if (unlikely(!e || flags & MSG_FASTOPEN))
		return shim_may_block(r);
	enum fdkind k = fd_kind(e, (int)A1(r));
	/* A stream may take a message in part, which only the blocking form completes. */
	if (k == KindTCP || k == KindStream || k == KindLowat)
		return sock_may_block(r, DirWrite);
	struct iocall c;
	long done = 0, ret;
	io_begin(&c, r, e, DirWrite);
	c.a[3] = flags | MSG_DONTWAIT;
	c.sock = true;
	do {
		ret = io_try(&c);
		if (ret > 0) {
			done += ret;
			c.a[1] += ret * SIZEOF_MMSGHDR;
			c.a[2] -= ret;
			continue;
		}
		if (ret != -EAGAIN)
			break;
		ret = k == KindUnixMsg ? IO_HANDOFF : io_wait(&c);
		if (ret == IO_HANDOFF) {
			c.a[3] = flags;
			ret = io_block(&c);
			done += ret > 0 ? ret : 0;
			break;
		}
		if (ret != IO_RETRY)
			break;
	} while (c.a[2] > 0);
	if (c.waited)
		iowait_end(&c.w);
	return done ? done : ret;
}
