/* privfd.c - preloom's own descriptors: where they live, and how the program is kept off them.
 *
 * They are moved to the top of the range that the soft limit allows, but not above PRIVATE_TOP: the kernel's table of
 * descriptors is as long as the highest number in use, and every fork copies it. The program's numbers grow from
 * below and step over them, as the kernel does with any number in use.
 */
#include "netpoll.h"
#include <linux/errno.h>

#define PRIVATE_TOP 4096
#define NPRIVATE 65536 /* a server that ends may close every connection while its thread waits on it */
#define NRESERVED 4 /* for epoll and the like; duplicates go below them */
#define NUSUAL 64   /* and are mostly not more than this */

static struct lock priv_lock = LOCK_INIT(RankNetpoll);
static int priv[NPRIVATE]; /* number + 1; 0: free */
static bool stays[NPRIVATE]; /* also in the child of a fork */
static int npriv; /* all beyond are free */

static bool remember(int fd, bool stay)
{
	bool done = false;
	lock(&priv_lock);
	for (int i = 0; i < NPRIVATE && !done; i++)
		if (priv[i] == 0) {
			priv[i] = fd + 1;
			stays[i] = stay;
			npriv = i < npriv ? npriv : i + 1;
			done = true;
		}
	unlock(&priv_lock);
	struct fdesc *e = done ? fdesc_get(fd) : NULL;
	if (!e)
		return false;
	fdesc_set_private(e, true);
	return true;
}

static void forget(int fd)
{
	fdesc_set_private(fdesc_get(fd), false);
	lock(&priv_lock);
	for (int i = npriv - 1; i >= 0; i--)
		if (priv[i] == fd + 1) {
			priv[i] = 0;
			break;
		}
	while (npriv && priv[npriv - 1] == 0)
		npriv--;
	unlock(&priv_lock);
}

/* A duplicate of fd in the top n numbers; anywhere if these are taken. */
static int dup_high(int fd, int n)
{
	int limit = os_fd_limit();
	int top = limit < PRIVATE_TOP ? limit : PRIVATE_TOP;
	int r = top > n ? os_dupfd(fd, top - n) : -EINVAL;
	if (r >= 0)
		return r;
	int64_t old = os_raise_fd_limit(); /* the program has used up its own */
	r = os_dupfd(fd, top);
	if (r < 0)
		r = os_dupfd(fd, 3);
	os_restore_fd_limit(old);
	return r;
}

static int take(int fd, bool stay)
{
	int high = dup_high(fd, NRESERVED);
	if (high < 0)
		high = fd; /* the limit is reached: rather a low number than none */
	else
		os_close(fd);
	if (!remember(high, stay))
		throw("too many private descriptors");
	return high;
}

/* Moves fd to where the program does not find it; returns the new number. */
int privfd_take(int fd)
{
	return take(fd, true);
}

/* The same for one that the child of a fork must not go on using. */
int privfd_take_not_inherited(int fd)
{
	return take(fd, false);
}

/* A private duplicate of fd, or -errno. */
int privfd_dup(int fd)
{
	int high = dup_high(fd, NUSUAL);
	if (high >= 0 && !remember(high, false)) {
		os_close(high);
		return -EMFILE;
	}
	return high;
}

void privfd_close(int fd)
{
	forget(fd);
	os_close(fd);
}

bool privfd_is(int fd)
{
	struct fdesc *t = load_acq(&fdtab);
	return t && (unsigned)fd < FDTAB_LEN && load_acq(&t[fd].flags) & FD_PRIVATE;
}

/* The lowest private number >= from, or -1. */
int privfd_next(int from)
{
	int best = -1;
	lock(&priv_lock);
	for (int i = 0; i < npriv; i++)
		if (priv[i] > from && (best < 0 || priv[i] - 1 < best))
			best = priv[i] - 1;
	unlock(&priv_lock);
	return best;
}

/* In the child of a fork: those that belong to the parent's netpoller and to its waiters go. */
void privfd_after_fork(void)
{
	priv_lock = (struct lock)LOCK_INIT(RankNetpoll);
	for (int i = 0; i < npriv; i++)
		if (priv[i] && stays[i]) {
			fdesc_set_private(fdesc_get(priv[i] - 1), true);
		} else if (priv[i]) {
			os_close(priv[i] - 1);
			priv[i] = 0;
		}
}
