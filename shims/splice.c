/* splice.c - sendfile, splice, tee and vmsplice: moving without copying, to and from sockets and pipes.
 *
 * None has a form that does not block on a socket. So poll says first whether there is room, and no more is moved at a
 * time than fits then: epoll reports a stream socket writable when a third of its buffer is free (a quarter is used at
 * most, on AF_UNIX). A blocking call goes on until all is sent, as natively, and parks in between. For pipes
 * SPLICE_F_NONBLOCK is the form that does not block. A file that is read may make the M wait for its disk.
 */
#include "io.h"
#include <linux/poll.h>
#include <linux/time_types.h>

#define SPLICE_F_NONBLOCK 2
#define LEAST_ROOM 1024
#define SO_SNDBUF_OPTION 7
#define SOL_SOCKET_LEVEL 1

static bool is_stream(enum fdkind k)
{
	return k == KindTCP || k == KindStream || k == KindLowat;
}

/* What goes into a socket that is writable. */
static size_t room(int fd)
{
	int size = 0, len = sizeof(size);
	sys5(__NR_getsockopt, fd, SOL_SOCKET_LEVEL, SO_SNDBUF_OPTION, &size, &len);
	return size / 4 > LEAST_ROOM ? (size_t)size / 4 : LEAST_ROOM;
}

static void side_begin(struct iocall *c, struct regs *r, int fd, struct fdesc *e, enum iodir dir)
{
	io_begin(c, r, e, dir);
	c->a[0] = fd;
	c->sock = kind_is_socket((enum fdkind)load_rlx(&e->kind)) || load_rlx(&e->kind) == KindLowat;
}

static void side_end(struct iocall *c)
{
	if (c->waited)
		iowait_end(&c->w);
}

static bool is_now(struct iocall *c)
{
	struct pollfd p = { (int)c->a[0], c->dir == DirRead ? POLLIN : POLLOUT, 0 };
	c->seen = fdesc_seen(c->e, c->dir);
	return kernel_poll(&p, 1) != 0;
}

/* 0: it goes now. Else what io_wait says. */
static long side_wait(struct iocall *c)
{
	while (!is_now(c)) {
		long ret = io_wait(c);
		if (ret != IO_RETRY)
			return ret;
	}
	return 0;
}

/* The program made it non-blocking, or it cannot be waited for: the call as it stands. */
static bool is_for_kernel(const struct iocall *c, long ret)
{
	return ret == IO_HANDOFF || (ret == -EAGAIN && !c->timed);
}

static long moved(long done, long ret)
{
	return done ? done : ret == -EINTR ? -ERESTARTSYS : ret;
}

static long sendfile_to_socket(struct regs *r, struct fdesc *e)
{
	struct iocall c;
	long done = 0, total = (long)(A4(r) > MAX_RW_COUNT ? MAX_RW_COUNT : A4(r)), ret;
	side_begin(&c, r, (int)A1(r), e, DirWrite);
	for (;;) {
		ret = side_wait(&c);
		if (ret)
			break;
		size_t n = room((int)c.a[0]);
		if ((long)n > total - done)
			n = (size_t)(total - done);
		const long a[6] = { c.a[0], (long)A2(r), (long)A3(r), (long)n };
		ret = blocking_syscall(getg(), __NR_sendfile, a);
		if (ret <= 0)
			break;
		done += ret;
		if (done >= total)
			break;
	}
	side_end(&c);
	return done == 0 && is_for_kernel(&c, ret) ? shim_may_block(r) : moved(done, ret);
}

/* One that waits for room in a pipe, and is done then. */
static long to_pipe(struct regs *r, int fd, struct fdesc *e)
{
	struct iocall c;
	side_begin(&c, r, fd, e, DirWrite);
	long ret = side_wait(&c);
	side_end(&c);
	return ret == 0 || is_for_kernel(&c, ret) ? shim_may_block(r) : ret;
}

long shim_sendfile(struct regs *r)
{
	struct fdesc *out = fdesc_get((int)A1(r)), *in = fdesc_get((int)A2(r));
	if (unlikely(!out || !in || fd_nonblocking(out) || A4(r) == 0 || (long)A4(r) < 0) || !kind_is_file(fd_kind(in, (int)A2(r))))
		return shim_may_block(r);
	enum fdkind k = fd_kind(out, (int)A1(r));
	if (k == KindPipe)
		return to_pipe(r, (int)A1(r), out);
	return is_stream(k) ? sendfile_to_socket(r, out) : shim_may_block(r);
}

struct transfer {
	struct iocall in, out;
	bool in_waits, out_waits; /* files are always ready */
	bool to_socket;
};

/* Moves up to n, as things stand; -EAGAIN: another thread or process was faster. */
static long move_some(struct regs *r, struct transfer *t, long n)
{
	const long a[6] = { t->in.a[0], (long)A2(r), t->out.a[0], (long)A4(r), n, (long)A6(r) | SPLICE_F_NONBLOCK };
	return blocking_syscall(getg(), __NR_splice, a);
}

/* Natively, what is in the pipe is sent to the end, and no more is waited for then. */
static long splice_wait(struct regs *r, struct transfer *t)
{
	long done = 0, total = (long)A5(r), ret;
	/* With nothing to move yet the kernel says whether it ever will be: wrong ends, twice the same pipe. */
	if (t->in_waits && !is_now(&t->in) && (ret = move_some(r, t, total)) != -EAGAIN) {
		side_end(&t->in);
		side_end(&t->out);
		return moved(0, ret);
	}
	for (;;) {
		if (done && !is_now(&t->in)) {
			ret = 0;
			break;
		}
		ret = t->in_waits ? side_wait(&t->in) : 0;
		if (ret == 0 && t->out_waits)
			ret = side_wait(&t->out);
		if (ret)
			break;
		long n = total - done;
		if (t->to_socket && n > (long)room((int)t->out.a[0]))
			n = (long)room((int)t->out.a[0]);
		ret = move_some(r, t, n);
		if (ret == -EAGAIN && !done)
			continue;
		if (ret <= 0)
			break;
		done += ret;
		if (!t->to_socket || done >= total)
			break;
	}
	side_end(&t->in);
	side_end(&t->out);
	bool kernels = (t->in_waits && is_for_kernel(&t->in, ret)) || (t->out_waits && is_for_kernel(&t->out, ret));
	return done == 0 && kernels ? shim_may_block(r) : moved(done, ret);
}

static bool can_wait(enum fdkind k)
{
	return k == KindPipe || is_stream(k);
}

long shim_splice(struct regs *r)
{
	int from = (int)A1(r), to = (int)A3(r);
	struct fdesc *in = fdesc_get(from), *out = fdesc_get(to);
	if (unlikely(!in || !out || A6(r) & SPLICE_F_NONBLOCK || A5(r) == 0 || (long)A5(r) < 0 || fd_nonblocking(in) ||
		     fd_nonblocking(out)))
		return shim_may_block(r);
	enum fdkind ki = fd_kind(in, from), ko = fd_kind(out, to);
	bool pipe = ki == KindPipe || ko == KindPipe;
	if (!pipe || (!can_wait(ki) && !kind_is_file(ki)) || (!can_wait(ko) && !kind_is_file(ko)) || (A2(r) && !kind_is_file(ki)) ||
	    (A4(r) && !kind_is_file(ko)))
		return shim_may_block(r);
	struct transfer t = { .in_waits = can_wait(ki), .out_waits = can_wait(ko), .to_socket = is_stream(ko) };
	side_begin(&t.in, r, from, in, DirRead);
	side_begin(&t.out, r, to, out, DirWrite);
	return splice_wait(r, &t);
}

long shim_tee(struct regs *r)
{
	int from = (int)A1(r), to = (int)A2(r);
	struct fdesc *in = fdesc_get(from), *out = fdesc_get(to);
	if (unlikely(!in || !out || A4(r) & SPLICE_F_NONBLOCK || A3(r) == 0) || fd_kind(in, from) != KindPipe ||
	    fd_kind(out, to) != KindPipe)
		return shim_may_block(r);
	struct iocall ci, co;
	long ret;
	side_begin(&ci, r, from, in, DirRead);
	side_begin(&co, r, to, out, DirWrite);
	for (;;) {
		const long a[6] = { ci.a[0], co.a[0], (long)A3(r), (long)A4(r) | SPLICE_F_NONBLOCK };
		ret = blocking_syscall(getg(), __NR_tee, a);
		if (ret != -EAGAIN)
			break;
		ret = side_wait(&ci);
		ret = ret ? ret : side_wait(&co);
		if (ret)
			break;
	}
	side_end(&ci);
	side_end(&co);
	return is_for_kernel(&ci, ret) || is_for_kernel(&co, ret) ? shim_may_block(r) : moved(0, ret);
}

/* From a pipe it is a readv; nothing of that blocks for long but the wait for data. */
long shim_vmsplice(struct regs *r)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (unlikely(!e || A4(r) & SPLICE_F_NONBLOCK || fd_nonblocking(e)) || fd_kind(e, fd) != KindPipe)
		return shim_may_block(r);
	bool writes = (sys3(__NR_fcntl, fd, 3 /* F_GETFL */, 0) & 3) != 0;
	struct iocall c;
	side_begin(&c, r, fd, e, writes ? DirWrite : DirRead);
	long ret = side_wait(&c);
	side_end(&c);
	return ret == 0 || is_for_kernel(&c, ret) ? shim_may_block(r) : ret;
}
