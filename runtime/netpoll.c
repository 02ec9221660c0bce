/* netpoll.c - epoll: who hears of events and what they do.
 *
 * One epoll instance holds every descriptor that a G ever had to wait for, registered once, for both directions and
 * edge-triggered, so that the steady state needs no epoll_ctl. An event carries the descriptor's number and its
 * generation; fdesc_event (iowait.c) checks the generation, counts the event and claims waiters. epoll registrations
 * belong to the open file, not to the number: after close of a number whose file lives on elsewhere, events keep coming
 * with the old generation and are dropped.
 *
 * netpoll() is called by an M without work (delay 0), by the last idle M (until the next timer) and by sysmon, which
 * also blocks in it while every P computes. Several may be in it at once; epoll hands an edge to one of them.
 * netpoll_break ends a blocked one by an eventfd, which is level-triggered and only read by a blocked call, so that a
 * non-blocking one cannot swallow the break.
 *
 * Rejected: EPOLLONESHOT or a registration per wait (1,470 ns for ADD and DEL); io_uring (often forbidden in containers,
 * and its completions need memory that stays put while a G may be signalled away).
 */
#include "netpoll.h"
#include "tracebuf.h"
#include <linux/errno.h>
#include <linux/eventpoll.h>

#define NEVENTS 128
#define BREAK_DATA UINT64_MAX
#define INTEREST (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

static _Atomic uint32_t making; /* somebody makes it */
static _Atomic int epfd = -1;
static int breakfd = -1;
static _Atomic uint32_t break_sent;
_Atomic uint32_t netpoll_nwait;

static void make_epoll(void)
{
	int64_t old = os_raise_fd_limit(); /* the program may have used up its own */
	int ep = os_epoll_create();
	int ev = os_eventfd();
	if (ep < 0 || ev < 0)
		throw("netpoll: no descriptor for epoll");
	ep = privfd_take_not_inherited(ep);
	breakfd = privfd_take_not_inherited(ev);
	os_restore_fd_limit(old);
	if (os_epoll_ctl(ep, EPOLL_CTL_ADD, breakfd, EPOLLIN, BREAK_DATA))
		throw("netpoll: epoll_ctl of the eventfd");
	store_rel(&epfd, ep); /* release: breakfd is written before anybody polls */
}

void netpoll_init(void)
{
	uint32_t no = 0;
	if (likely(load_acq(&epfd) >= 0))
		return;
	if (atomic_compare_exchange_strong(&making, &no, 1))
		make_epoll();
	while (load_acq(&epfd) < 0)
		os_osyield();
}

bool netpoll_inited(void)
{
	return load_acq(&epfd) >= 0;
}

bool netpoll_waiters(void)
{
	return load_acq(&netpoll_nwait) != 0;
}

void netpoll_break(void)
{
	uint32_t sent = 0;
	uint64_t one = 1;
	/* Whom we want to wake may not have got beyond making the descriptors yet. */
	netpoll_init();
	if (!atomic_compare_exchange_strong(&break_sent, &sent, 1))
		return;
	os_write(breakfd, &one, sizeof(one));
}

/* 0, or -errno; -EPERM: not a file that can be polled. */
int netpoll_register(int fd, uint32_t gen)
{
	netpoll_init();
	uint64_t data = (uint32_t)fd | (uint64_t)gen << 32;
	int r = os_epoll_ctl(load_rlx(&epfd), EPOLL_CTL_ADD, fd, INTEREST, data);
	/* The same file under the same number before: a dup2 back, or a close that we did not see. MOD reports the
	 * present state anew, like ADD. */
	if (r == -EEXIST)
		r = os_epoll_ctl(load_rlx(&epfd), EPOLL_CTL_MOD, fd, INTEREST, data);
	return r;
}

void netpoll_unregister(int fd)
{
	os_epoll_ctl(load_rlx(&epfd), EPOLL_CTL_DEL, fd, 0, 0);
}

/* -EMFILE or the like if the program can have no more descriptors, else 0. Tried with one that does no harm if another
 * thread's fork takes it along. */
long netpoll_number_left(void)
{
	netpoll_init();
	int fd = os_dupfd(breakfd, 0);
	if (fd < 0)
		return fd;
	os_close(fd);
	return 0;
}

bool netpoll(int64_t delay_ns, struct gqueue *out)
{
	bool broken = false;
	struct os_event ev[NEVENTS];
	netpoll_init();
	struct m *m = getm();
	if (delay_ns != 0)
		sig_sleep_begin(m);
	int n = os_epoll_wait(load_rlx(&epfd), ev, NEVENTS, delay_ns);
	if (delay_ns != 0)
		sig_sleep_end(m);
	for (int i = 0; i < n; i++) {
		if (i + 6 < n)
			fdesc_prefetch((int)(uint32_t)ev[i + 6].data, false);
		if (i + 3 < n)
			fdesc_prefetch((int)(uint32_t)ev[i + 3].data, true);
		if (ev[i].data != BREAK_DATA) {
			fdesc_event((int)(uint32_t)ev[i].data, (uint32_t)(ev[i].data >> 32), ev[i].events, out);
		} else if (delay_ns != 0) {
			uint64_t count;
			os_read(breakfd, &count, sizeof(count));
			store_rel(&break_sent, 0);
			broken = true;
		}
	}
	if (tracing() && out->n)
		trace_p(TraceNetpoll, NULL, out->n, 0);
	return broken;
}

/* In the child of a fork: the inherited instance is the parent's too; leave it and start afresh. */
void netpoll_after_fork(void)
{
	store_rlx(&making, 0);
	store_rlx(&epfd, -1);
	breakfd = -1;
	store_rlx(&break_sent, 0);
	store_rlx(&netpoll_nwait, 0);
	fdtab_after_fork();
	privfd_after_fork();
}
