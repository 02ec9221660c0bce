/* io.c - read, write and their scatter forms.
 *
 * Which form does not block depends on the kind of file (Linux 6.18, by experiment):
 *
 *	sockets            recvfrom and sendto with MSG_DONTWAIT: cheaper than RWF_NOWAIT, which serves the scatter forms
 *	pipe()             preadv2 and pwritev2 with RWF_NOWAIT
 *	eventfd, timerfd   reads with RWF_NOWAIT; a write blocks only when the counter overflows: hand off
 *	FIFO by name, inotify, terminals, other devices: no RWF_NOWAIT (-EOPNOTSUPP): poll, then the call itself. If
 *	                   another reader was faster, the M blocks in it, as it would natively.
 *	regular files, directories, what epoll refuses: hand off. preadv2 with RWF_NOWAIT would cost as much as the
 *	                   read itself; entersyscall and exitsyscall cost two atomic operations.
 *
 * A blocking write to a stream or pipe goes on until all is written; an error after the first part is not reported.
 */
#include "../runtime/sig.h"
#include "io.h"
#include <asm/ioctls.h>
#include <asm/stat.h>
#include <asm/termbits.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/stat.h>

#define PIPE_BUF 4096

/* A terminal read that would not just wait for input: background process (SIGTTIN at once), VMIN of 0, or more than is asked
 * for, for which alone poll waits. */
static bool tty_read_is_special(const struct regs *r)
{
	int fd = (int)A1(r);
	uint64_t room = r->rax == __NR_read ? A3(r) : 1;
	struct termios t;
	int pgrp;
	if (sys3(__NR_ioctl, fd, TIOCGPGRP, &pgrp) == 0 && pgrp != (int)sys1(__NR_getpgid, 0))
		return true;
	return sys3(__NR_ioctl, fd, TCGETS, &t) == 0 && !(t.c_lflag & ICANON) && (t.c_cc[VMIN] == 0 || t.c_cc[VMIN] > room);
}

/* The call as it stands got or wrote v's first ret bytes and no more: where the kernel thread had a signal that is for another G,
 * natively another thread's, it goes on. */
static __attribute__((noinline)) long go_on(const struct regs *r, long nr, struct kiovec *v, size_t n, size_t total, long ret)
{
	struct g *g = getg();
	struct regs now = *r;
	size_t done = 0;
	if (total > MAX_RW_COUNT)
		total = MAX_RW_COUNT;
	now.rax = (uint64_t)nr; /* readv or writev */
	for (;;) {
		if (ret > 0) {
			done += (size_t)ret;
			iov_advance(&v, &n, (size_t)ret);
		} else if (ret != -ERESTARTSYS && ret != -ERESTARTNOINTR) {
			break;
		}
		if (done >= total || sig_deliverable(g))
			break;
		now.rsi = (uintptr_t)v;
		now.rdx = n;
		ret = shim_may_block(&now);
	}
	return (long)done;
}

static long read_endless(struct regs *r)
{
	long ret = shim_may_block(r);
	if (likely(ret <= 0 || (uint64_t)ret == A3(r)))
		return ret;
	struct kiovec iov = { A2(r), A3(r) };
	return go_on(r, __NR_readv, &iov, 1, A3(r), ret);
}

static long readv_endless(struct regs *r)
{
	struct iovcopy iov;
	long ret = shim_may_block(r);
	if (ret <= 0)
		return ret;
	long total = iov_copy(&iov, A2(r), A3(r));
	if (total < 0)
		return ret;
	if (ret < total)
		ret = go_on(r, __NR_readv, iov.v, iov.n, (size_t)total, ret);
	iov_free(&iov);
	return ret;
}

static long read_poll_first(struct regs *r, struct fdesc *e, enum fdkind k)
{
	struct iocall c;
	if (fd_nonblocking(e) || (k == KindTty && tty_read_is_special(r)))
		return shim_may_block(r);
	io_begin(&c, r, e, DirRead);
	c.pipe = k == KindPoll;
	return io_poll_first(&c, POLLIN);
}

/* A seccomp filter that was made for the program does not know preadv2 and pwritev2, which the program never calls. */
static bool filtered(long ret)
{
	return ret == -ENOSYS || ret == -EPERM;
}

/* The non-blocking form is not known for this file after all. */
static long nowait_refused(struct regs *r, struct fdesc *e, long err)
{
	if (err == -EOPNOTSUPP || (filtered(err) && !kind_is_socket((enum fdkind)load_rlx(&e->kind)))) {
		fdesc_set_kind(e, KindPoll);
		return read_poll_first(r, e, KindPoll);
	}
	return shim_may_block(r);
}

static bool is_refusal(long ret)
{
	return ret == -EOPNOTSUPP || ret == -EINVAL || ret == -ESPIPE || filtered(ret);
}

static __attribute__((noinline)) long read_nowait_wait(struct regs *r, struct fdesc *e, uint32_t seen)
{
	struct kiovec iov = { A2(r), A3(r) };
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	c.nr = __NR_preadv2;
	c.a[1] = (long)&iov;
	c.a[2] = 1;
	c.a[3] = -1;
	c.a[4] = 0;
	c.a[5] = RWF_NOWAIT;
	c.seen = seen;
	long ret = io_wait(&c);
	if (ret == IO_RETRY)
		return io_loop(&c);
	return io_end(&c, ret);
}

static long read_nowait(struct regs *r, struct fdesc *e)
{
	struct kiovec iov = { A2(r), A3(r) };
	uint32_t seen = fdesc_seen(e, DirRead);
	long ret = sys6(__NR_preadv2, (long)A1(r), (long)&iov, 1, -1, 0, RWF_NOWAIT);
	if (likely(ret >= 0))
		return ret;
	if (ret == -EAGAIN)
		return read_nowait_wait(r, e, seen);
	return is_refusal(ret) ? nowait_refused(r, e, ret) : ret;
}

long shim_read(struct regs *r)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e || A3(r) == 0))
		return shim_may_block(r);
	enum fdkind k = fd_kind(e, fd);
	switch (k) {
	case KindTCP:
	case KindStream:
	case KindMsg:
	case KindSeq:
	case KindUnixMsg:
	case KindLowat: {
		long ret = sock_recv(r, e, k, 0);
		return unlikely(ret == -ENOTSOCK) ? (fdesc_forget(e), shim_may_block(r)) : ret;
	}
	case KindPipe:
	case KindEvent:
		return read_nowait(r, e);
	case KindPoll:
	case KindTty:
		return read_poll_first(r, e, k);
	case KindEndless:
		return read_endless(r);
	default:
		return shim_may_block(r);
	}
}

/* Of one that is larger than a page, as of a read of /dev/urandom. */
long shim_getrandom(struct regs *r)
{
	struct regs now = *r;
	uint64_t done = 0;
	long ret = shim_may_block(r);
	if (likely(ret <= 0 || (uint64_t)ret == A2(r)))
		return ret;
	for (;;) {
		done += ret > 0 ? (uint64_t)ret : 0;
		if ((ret <= 0 && ret != -ERESTARTSYS && ret != -ERESTARTNOINTR) || done >= A2(r) || done >= MAX_RW_COUNT ||
		    sig_deliverable(getg()))
			return (long)done;
		now.rdi = A1(r) + done;
		now.rsi = A2(r) - done;
		ret = shim_may_block(&now);
	}
}

/* --- write --- */

static bool is_fifo(int fd)
{
	struct stat st;
	return sys2(__NR_fstat, fd, &st) == 0 && (st.st_mode & S_IFMT) == S_IFIFO;
}

/* A FIFO and a terminal take all, however long that takes, unless a signal comes. */
static long write_on(struct regs *r, enum fdkind k, struct kiovec *v, size_t n, size_t total, long ret)
{
	if ((size_t)ret >= total || (size_t)ret >= MAX_RW_COUNT || (k != KindTty && !is_fifo((int)A1(r))))
		return ret;
	return go_on(r, __NR_writev, v, n, total, ret);
}

static long write_held(struct regs *r, enum fdkind k)
{
	long ret = shim_may_block(r);
	if (likely(ret <= 0 || (uint64_t)ret == A3(r)))
		return ret;
	struct kiovec iov = { A2(r), A3(r) };
	return write_on(r, k, &iov, 1, A3(r), ret);
}

static long writev_held(struct regs *r, enum fdkind k)
{
	struct iovcopy iov;
	long ret = shim_may_block(r);
	if (ret <= 0)
		return ret;
	long total = iov_copy(&iov, A2(r), A3(r));
	if (total < 0)
		return ret;
	ret = write_on(r, k, iov.v, iov.n, (size_t)total, ret);
	iov_free(&iov);
	return ret;
}

/* Writes all of a scatter list to a pipe; c->a is set up, v and n are c->a[1] and c->a[2]. */
static long write_all(struct iocall *c, struct kiovec *v, size_t n, size_t total, long ret)
{
	size_t done = 0;
	if (total > MAX_RW_COUNT)
		total = MAX_RW_COUNT;
	for (;;) {
		if (ret >= 0) {
			done += (size_t)ret;
			if (done >= total)
				break;
			iov_advance(&v, &n, (size_t)ret);
			c->a[1] = (long)v;
			c->a[2] = (long)n;
		} else if (ret == -EAGAIN) {
			ret = io_wait(c);
			if (ret == IO_HANDOFF) {
				c->a[5] = 0;
				ret = io_block(c);
				done += ret > 0 ? (size_t)ret : 0;
				break;
			}
			if (ret != IO_RETRY)
				break;
		} else {
			break;
		}
		ret = io_try(c);
	}
	if (c->waited)
		iowait_end(&c->w);
	return done ? (long)done : ret;
}

static __attribute__((noinline)) long write_pipe_rest(struct regs *r, struct fdesc *e, uint32_t seen, long ret)
{
	struct kiovec iov = { A2(r), A3(r) };
	struct iocall c;
	io_begin(&c, r, e, DirWrite);
	c.nr = __NR_pwritev2;
	c.a[1] = (long)&iov;
	c.a[2] = 1;
	c.a[3] = -1;
	c.a[4] = 0;
	c.a[5] = RWF_NOWAIT;
	c.seen = seen;
	return write_all(&c, &iov, 1, A3(r), ret);
}

static long write_poll_first(struct regs *r, struct fdesc *e)
{
	struct iocall c;
	/* A larger one may block after its first part, whatever poll says. */
	if (A3(r) > PIPE_BUF || fd_nonblocking(e))
		return write_held(r, KindPoll);
	io_begin(&c, r, e, DirWrite);
	return io_poll_first(&c, POLLOUT);
}

static long write_pipe(struct regs *r, struct fdesc *e)
{
	struct kiovec iov = { A2(r), A3(r) };
	struct fdesc *reader = pipe_reader(e);
	if (reader && A3(r) <= PIPE_BUF) {
		/* A reader waits: the pipe is empty, and the plain call is cheaper and does not block. */
		long n = shim_may_block(r);
		if (n > 0)
			fdesc_poke(reader);
		return n;
	}
	uint32_t seen = fdesc_seen(e, DirWrite);
	long ret = sys6(__NR_pwritev2, (long)A1(r), (long)&iov, 1, -1, 0, RWF_NOWAIT);
	if (likely(ret == (long)A3(r)))
		return ret;
	if (ret >= 0 || ret == -EAGAIN)
		return write_pipe_rest(r, e, seen, ret);
	if (ret == -EOPNOTSUPP || filtered(ret)) {
		fdesc_set_kind(e, KindPoll);
		return write_poll_first(r, e);
	}
	return is_refusal(ret) ? shim_may_block(r) : ret;
}

long shim_write(struct regs *r)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e))
		return shim_may_block(r);
	enum fdkind k = fd_kind(e, fd);
	switch (k) {
	case KindTCP:
	case KindStream:
	case KindMsg:
	case KindSeq:
	case KindUnixMsg:
	case KindLowat: {
		long ret = sock_send(r, e, k, 0);
		return unlikely(ret == -ENOTSOCK) ? (fdesc_forget(e), shim_may_block(r)) : ret;
	}
	case KindPipe:
		return A3(r) ? write_pipe(r, e) : shim_raw(r);
	case KindEvent: {
		long ret = shim_may_block(r);
		if (ret > 0 && e->waiters[DirRead])
			fdesc_poke(e);
		return ret;
	}
	case KindPoll:
		return write_poll_first(r, e);
	case KindTty:
		return write_held(r, k);
	default:
		return shim_may_block(r);
	}
}

/* --- scatter forms --- */

static long readv_nowait(struct regs *r, struct fdesc *e)
{
	struct iocall c;
	io_begin(&c, r, e, DirRead);
	c.nr = __NR_preadv2;
	c.a[3] = -1;
	c.a[4] = 0;
	c.a[5] = RWF_NOWAIT;
	c.sock = kind_is_socket((enum fdkind)load_rlx(&e->kind));
	long ret = io_loop(&c);
	return unlikely(is_refusal(ret)) ? nowait_refused(r, e, ret) : ret;
}

static long readv_any(struct regs *r)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e))
		return shim_may_block(r);
	enum fdkind k = fd_kind(e, fd);
	if (kind_is_socket(k) || k == KindPipe || k == KindEvent)
		return readv_nowait(r, e);
	if (k == KindPoll || k == KindTty)
		return iov_is_nothing(A2(r), A3(r)) ? shim_raw(r) : read_poll_first(r, e, k);
	if (k == KindEndless)
		return readv_endless(r);
	if (likely(k != KindLowat))
		return shim_may_block(r);
	long ret = readv_held(r, e);
	return unlikely(ret == -ENOTSOCK) ? (fdesc_forget(e), shim_may_block(r)) : ret;
}

static long writev_pipe(struct regs *r, struct fdesc *e)
{
	struct iovcopy iov;
	struct iocall c;
	long total = iov_copy(&iov, A2(r), A3(r));
	if (total <= 0)
		return total ? total : shim_raw(r);
	io_begin(&c, r, e, DirWrite);
	c.nr = __NR_pwritev2;
	c.a[1] = (long)iov.v;
	c.a[3] = -1;
	c.a[4] = 0;
	c.a[5] = RWF_NOWAIT;
	long ret = io_try(&c);
	if (unlikely(is_refusal(ret)))
		ret = shim_may_block(r);
	else
		ret = write_all(&c, iov.v, iov.n, (size_t)total, ret);
	iov_free(&iov);
	return ret;
}

static long writev_any(struct regs *r)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e))
		return shim_may_block(r);
	enum fdkind k = fd_kind(e, fd);
	if (kind_is_socket(k) || k == KindLowat)
		return sock_writev(r, e, k);
	if (k == KindPipe)
		return writev_pipe(r, e);
	return k == KindPoll || k == KindTty ? writev_held(r, k) : shim_may_block(r);
}

long shim_readv(struct regs *r)
{
	return readv_any(r);
}

long shim_writev(struct regs *r)
{
	return writev_any(r);
}

/* With offset -1 and no flags these are readv and writev. Which flags there are for which file the kernel knows. */
long shim_preadv2(struct regs *r)
{
	return A4(r) == (uint64_t)-1 && !(int)A6(r) ? readv_any(r) : shim_may_block(r);
}

long shim_pwritev2(struct regs *r)
{
	return A4(r) == (uint64_t)-1 && !(int)A6(r) ? writev_any(r) : shim_may_block(r);
}
