/* io.h - what the I/O shims share: a call in its non-blocking form, tried and waited for.
 *
 * The pattern of every blocking call on a descriptor:
 *
 *	io_begin(&c, r, e, DirRead);          arguments of the program's call
 *	c.nr = …; c.a[…] = …;                 the form that does not block
 *	do {
 *		ret = io_try(&c);
 *	} while (ret == -EAGAIN && (ret = io_wait(&c)) == IO_RETRY);
 *	return io_end(&c, ret);
 */
#ifndef PRELOOM_SHIMS_IO_H
#define PRELOOM_SHIMS_IO_H

#include "../runtime/netpoll.h"
#include "shim.h"

struct iocall {
	struct regs *r; /* the program's call as it stands */
	struct fdesc *e;
	long nr;
	long a[6]; /* a[0] is the descriptor */
	enum iodir dir;
	enum waitreason reason;
	uint32_t seen; /* events before the last try */
	bool sock;     /* socket timeouts apply */
	bool accepts;  /* waits only if the socket listens */
	bool pipe;     /* perhaps a FIFO, of whose end poll does not know */
	bool waited;   /* w is in use */
	bool timed;    /* a socket timeout applies: a signal gives -EINTR in spite of SA_RESTART */
	bool late;     /* the deadline is past, and the last try under way */
	int64_t timeout; /* that one, in ns */
	struct iowait w;
};

/* io_wait's answers beside -errno; outside of what a call can return. */
enum { IO_RETRY = -5000, IO_HANDOFF = -5001 };

void io_begin(struct iocall *c, struct regs *r, struct fdesc *e, enum iodir dir);
long io_wait(struct iocall *c);
/* Ends the waiting. ret == IO_HANDOFF: the program's call goes to the kernel as it stands. */
long io_end(struct iocall *c, long ret);
/* The call in c->nr and c->a, as one that may block. */
long io_block(struct iocall *c);
/* The whole loop, for calls that are done at the first success. */
long io_loop(struct iocall *c);
/* The program's call goes to the kernel as it stands, when poll says that it will not block. */
long io_poll_first(struct iocall *c, short events);

static inline long io_try(struct iocall *c)
{
	c->seen = fdesc_seen(c->e, c->dir);
	return sys6(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
}

/* What was remembered of a descriptor, found out anew when unknown. Kinds of fresh descriptors are asked with a call
 * or two; a wrong one only costs time, because the calls answer with errors that lead here again. */
enum fdkind fd_kind_ask(struct fdesc *e, int fd);

static inline enum fdkind fd_kind(struct fdesc *e, int fd)
{
	enum fdkind k = (enum fdkind)load_rlx(&e->kind);
	return likely(k != KindUnknown) ? k : fd_kind_ask(e, fd);
}

static inline bool kind_is_socket(enum fdkind k)
{
	return k >= KindTCP && k <= KindUnixMsg;
}

static inline bool kind_is_file(enum fdkind k)
{
	return k == KindFile || k == KindEndless;
}

/* The program made it non-blocking, and changed no flags since. Good enough to hand a call to the kernel without a poll
 * before it; before -EAGAIN is returned, the kernel is asked. */
static inline bool fd_nonblocking(struct fdesc *e)
{
	return load_rlx(&e->flags) & FD_NONBLOCK && load_rlx(&e->epoch) == load_acq(&fd_epoch);
}

/* Nothing is left since the last read: the next one can wait without a try. Only if it is known that it may wait, since
 * the kernel may know of data whose event we have not collected. */
static inline bool fd_drained(struct fdesc *e)
{
	return fdesc_own(e) && load_rlx(&e->drained) == load_acq(&e->seq[DirRead]) + 1 &&
	       (load_rlx(&e->flags) & (FD_HUP | FD_BLOCKING)) == FD_BLOCKING && load_rlx(&e->epoch) == load_acq(&fd_epoch);
}

/* A new descriptor of a kind that is known; whatever was remembered about the number is old. */
void fd_fresh(int fd, enum fdkind kind);

/* The kernel moves no more in one call. */
#define MAX_RW_COUNT ((size_t)0x7ffff000)

/* Scatter lists of the program, for calls that have to go on in the middle of one. */
struct kiovec {
	uintptr_t base;
	size_t len;
};
#define IOV_MAX_KERNEL 1024
struct iovcopy {
	struct kiovec small[4];
	struct kiovec *v; /* small, or allocated */
	size_t n, size;
};
bool iov_is_nothing(uintptr_t uiov, size_t n); /* for which no call waits, or more than the kernel takes */
long iov_copy(struct iovcopy *c, uintptr_t uiov, size_t n); /* the total, MAX_RW_COUNT at most, or -errno; then iov_free */
void iov_free(struct iovcopy *c);
void iov_advance(struct kiovec **v, size_t *n, size_t done);

struct kmsghdr {
	uintptr_t name;
	int namelen;
	uintptr_t iov;
	size_t iovlen;
	uintptr_t control;
	size_t controllen;
	unsigned flags;
};
_Static_assert(sizeof(struct kmsghdr) == 56, "struct user_msghdr");
#define SIZEOF_MMSGHDR 64 /* the same and a length */

/* The call as it stands, on a socket, whose timeout decides what a signal does. */
long sock_may_block(struct regs *r, enum iodir dir);
long sock_blocks_long(struct regs *r, enum iodir dir);
long sock_interrupted(int fd, enum iodir dir);
bool sock_is_broken(int fd);
bool sock_is_read(int fd); /* nothing is there */
bool sock_is_at_mark(int fd); /* urgent data follows: what has received something goes no further */

/* recvfrom and sendto, or read and write, on a socket of kind k: -ENOTSOCK if it is none after all. */
long sock_recv(struct regs *r, struct fdesc *e, enum fdkind k, long flags);
long sock_send(struct regs *r, struct fdesc *e, enum fdkind k, long flags);
/* Of a stream with SO_RCVLOWAT or with MSG_WAITALL, see recvheld.c. */
long recv_held(struct regs *r, struct fdesc *e, long flags);
long readv_held(struct regs *r, struct fdesc *e);
long recvmsg_held(struct regs *r, struct fdesc *e, long flags);
long recvmmsg_held(struct regs *r, struct fdesc *e, long flags, int64_t deadline);
/* writev on a socket. */
long sock_writev(struct regs *r, struct fdesc *e, enum fdkind k);

#endif
