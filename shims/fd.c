/* fd.c - what a descriptor is, and the calls that end or double one.
 *
 * A close has two parts: before the kernel's close everything that was remembered of the number is dropped, and from
 * then until it returned nothing is remembered anew, because a G that uses the number meanwhile may still reach the
 * old file. G's that wait on the number go on with a private duplicate (see iowait.c). The kernel's close is never
 * repeated, also not after -EINTR: the number is gone by then and may be somebody else's.
 */
#include "io.h"
#include <asm/ioctls.h>
#include <asm/socket.h>
#include <asm/stat.h>
#include <asm/termbits.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/net.h>
#include <linux/stat.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_SEQPACKET 5
#define SOCK_TYPE_MASK 0xf
#define UNTOUCHED_ABOVE 65536 /* closing unused numbers beyond this must not fill the table with memory */

static int socket_option(int fd, int option)
{
	int v = -1, len = sizeof(v);
	sys5(__NR_getsockopt, fd, SOL_SOCKET, option, &v, &len);
	return v;
}

static enum fdkind kind_of_socket(int domain, int type, int protocol)
{
	if (type == SOCK_STREAM) {
		bool inet = domain == AF_INET || domain == AF_INET6;
		return inet && protocol == IPPROTO_TCP ? KindTCP : KindStream;
	}
	if (domain == AF_UNIX)
		return KindUnixMsg;
	return type == SOCK_SEQPACKET ? KindSeq : KindMsg;
}

static enum fdkind socket_kind(int fd)
{
	enum fdkind k = kind_of_socket(socket_option(fd, SO_DOMAIN), socket_option(fd, SO_TYPE), socket_option(fd, SO_PROTOCOL));
	return (k == KindTCP || k == KindStream) && socket_option(fd, SO_RCVLOWAT) > 1 ? KindLowat : k;
}

#define MEMORY_DEVICE(minor) (1u << 8 | (minor)) /* as in st_rdev */

static enum fdkind chardev_kind(struct fdesc *e, int fd, uint64_t device)
{
	struct termios t;
	if (device == MEMORY_DEVICE(5) || device == MEMORY_DEVICE(8) || device == MEMORY_DEVICE(9))
		return KindEndless;
	if (sys3(__NR_ioctl, fd, TCGETS, &t) == 0)
		return KindTty;
	/* epoll refuses what has no poll of its own (null, zero, urandom). */
	if (load_rlx(&e->flags) & FD_REG)
		return KindPoll;
	if (netpoll_register(fd, load_rlx(&e->gen) - 1))
		return KindFile;
	netpoll_unregister(fd);
	return KindPoll;
}

enum fdkind fd_kind_ask(struct fdesc *e, int fd)
{
	struct stat st;
	enum fdkind k = KindFile;
	if (sys2(__NR_fstat, fd, &st) < 0)
		return KindUnknown;
	switch (st.st_mode & S_IFMT) {
	case S_IFSOCK:
		k = socket_kind(fd);
		break;
	case S_IFIFO:
		fdesc_set_pipe(e, (uint32_t)st.st_ino);
		return KindPipe;
	case S_IFCHR:
		k = chardev_kind(e, fd, st.st_rdev);
		break;
	case 0: /* eventfd and its kin have no type */
		k = os_tells_once(fd) ? KindFile : KindEvent; /* a perf event: a read never waits */
		break;
	}
	fdesc_set_kind(e, k);
	return k;
}

void fd_fresh(int fd, enum fdkind kind)
{
	struct fdesc *e = fdesc_get(fd);
	if (!e)
		return;
	if (load_rlx(&e->flags) || load_rlx(&e->kind) != KindUnknown)
		fdesc_forget(e);
	fdesc_set_kind(e, kind);
}

long shim_socket(struct regs *r)
{
	int domain = (int)A1(r), type = (int)A2(r) & SOCK_TYPE_MASK, protocol = (int)A3(r);
	struct fdorigin origin = fd_origin();
	long fd = shim_raw(r);
	if (fd < 0)
		return fd;
	if ((domain == AF_INET || domain == AF_INET6) && protocol == 0)
		protocol = IPPROTO_TCP;
	fd_fresh((int)fd, kind_of_socket(domain, type, protocol));
	struct fdesc *e = fdesc_get((int)fd);
	if (e)
		fdesc_made(e, origin);
	return fd;
}

/* A new descriptor whose kind is asked for later. What io_uring closed may still be remembered. */
static void made(int fd, struct fdorigin origin)
{
	struct fdesc *e = fdesc_get(fd);
	if (!e)
		return;
	if (unlikely(load_rlx(&e->flags) || load_rlx(&e->kind) != KindUnknown))
		fdesc_forget(e);
	fdesc_made(e, origin);
}

/* Two descriptors at pair; nothing but their origin is to be noted. */
static long made_pair(struct regs *r, uintptr_t pair)
{
	struct fdorigin origin = fd_origin();
	int fd[2];
	long ret = shim_raw(r);
	if (ret < 0 || user_read(fd, pair, sizeof(fd)))
		return ret;
	made(fd[0], origin);
	made(fd[1], origin);
	return ret;
}

long shim_pipe(struct regs *r)
{
	return made_pair(r, A1(r));
}

long shim_socketpair(struct regs *r)
{
	return made_pair(r, A4(r));
}

long shim_eventfd(struct regs *r)
{
	struct fdorigin origin = fd_origin();
	long fd = shim_raw(r);
	if (fd >= 0)
		made((int)fd, origin);
	return fd;
}

/* --- close --- */

static void close_begin(struct fdesc *e, int fd)
{
	if (fdesc_close_begin(e, fd))
		fdesc_move(e, fd, privfd_dup(fd));
}

static long kernel_call_once(long nr, long a, long b, long c)
{
	entersyscall((int)nr);
	long ret = sys3(nr, a, b, c);
	exitsyscall();
	return ret;
}

long shim_close(struct regs *r)
{
	int fd = (int)A1(r);
	struct fdesc *e = fdesc_get(fd);
	if (!e || (fd >= UNTOUCHED_ABOVE && fd > fdesc_highest()))
		return kernel_call_once(__NR_close, fd, 0, 0);
	if (unlikely(load_rlx(&e->flags) & FD_PRIVATE))
		return -EBADF;
	procfs_closing(fd);
	close_begin(e, fd);
	long ret = kernel_call_once(__NR_close, fd, 0, 0);
	fdesc_close_end(e);
	return ret;
}

/* The part of a close_range that holds no private number. */
static long close_segment(unsigned first, unsigned last, unsigned flags)
{
	unsigned top = (unsigned)fdesc_highest();
	for (unsigned fd = first; fd <= last && fd <= top; fd++)
		close_begin(fdesc_get((int)fd), (int)fd);
	long ret = kernel_call_once(__NR_close_range, first, last, flags);
	for (unsigned fd = first; fd <= last && fd <= top; fd++)
		fdesc_close_end(fdesc_get((int)fd));
	return ret;
}

long shim_close_range(struct regs *r)
{
	unsigned first = (unsigned)A1(r), last = (unsigned)A2(r), flags = (unsigned)A3(r);
	if (first > last || flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		shim_wire("close_range with CLOSE_RANGE_UNSHARE");
		cred_inherited(0);
	}
	if (flags & CLOSE_RANGE_CLOEXEC)
		return shim_raw(r); /* closes nothing, and our own have the flag already */
	long ret = 0;
	int priv;
	while (ret == 0 && first <= INT32_MAX && (priv = privfd_next((int)first)) >= 0 && (unsigned)priv <= last) {
		if ((unsigned)priv > first)
			ret = close_segment(first, (unsigned)priv - 1, flags);
		first = (unsigned)priv + 1;
	}
	return ret == 0 && first <= last ? close_segment(first, last, flags) : ret;
}

/* --- duplicates --- */

/* Whoever has the one has the other. */
static long doubled(int from, long to)
{
	struct fdesc *e = fdesc_get(from), *d = to >= 0 ? fdesc_get((int)to) : NULL;
	if (e && d && e != d)
		store_rlx(&d->own, load_rlx(&e->own));
	return to;
}

static long dup_onto(struct regs *r, int from, int to)
{
	struct fdesc *e = fdesc_get(to);
	if (privfd_is(from) || privfd_is(to))
		return -EBADF;
	fd_share();
	if (!e || from == to || sys3(__NR_fcntl, from, F_GETFD, 0) < 0)
		return shim_raw(r);
	close_begin(e, to);
	long ret = kernel_call_once((long)r->rax, from, to, (long)A3(r));
	fdesc_close_end(e);
	return doubled(from, ret);
}

long shim_dup2(struct regs *r)
{
	return dup_onto(r, (int)A1(r), (int)A2(r));
}

long shim_dup3(struct regs *r)
{
	return dup_onto(r, (int)A1(r), (int)A2(r));
}

long shim_dup(struct regs *r)
{
	if (privfd_is((int)A1(r)))
		return -EBADF;
	fd_share();
	return doubled((int)A1(r), shim_raw(r));
}

/* --- flags and options that decide whether a call waits --- */

/* After the kernel's call, so that what was asked before it is not taken for new. */
static long flags_changed(long ret)
{
	atomic_fetch_add(&fd_epoch, 1);
	return ret;
}

long shim_fcntl(struct regs *r)
{
	if (unlikely(privfd_is((int)A1(r))))
		return -EBADF;
	switch ((int)A2(r)) {
	case F_SETLKW:
	case F_OFD_SETLKW:
		return shim_setlkw(r);
	case F_SETFL:
		return flags_changed(shim_raw(r));
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		fd_share();
		return doubled((int)A1(r), shim_raw(r));
	case F_SETLK:
	case F_OFD_SETLK:
	case F_SETLEASE:
		return shim_may_block(r); /* may ask a file server */
	case F_SETOWN:
	case F_GETOWN:
	case F_SETOWN_EX:
	case F_GETOWN_EX:
		return shim_owner(r);
	default:
		return shim_raw(r);
	}
}

long shim_ioctl(struct regs *r)
{
	if ((unsigned)A2(r) == FIONBIO)
		return flags_changed(shim_raw(r));
	return shim_may_block(r);
}

long shim_setsockopt(struct regs *r)
{
	if ((int)A2(r) != SOL_SOCKET)
		return shim_raw(r);
	struct fdesc *e = fdesc_get((int)A1(r));
	switch ((int)A3(r)) {
	case SO_RCVLOWAT: {
		long ret = shim_raw(r);
		if (e && ret == 0 && !(load_rlx(&e->flags) & FD_PRIVATE))
			fdesc_set_kind(e, KindUnknown);
		return ret;
	}
	case SO_RCVTIMEO_OLD:
	case SO_RCVTIMEO_NEW:
	case SO_SNDTIMEO_OLD:
	case SO_SNDTIMEO_NEW:
		return flags_changed(shim_raw(r));
	default:
		return shim_raw(r);
	}
}
