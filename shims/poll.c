/* poll.c - poll and ppoll, and waiting for one of several descriptors.
 *
 * The kernel is asked with a timeout of zero. If nothing is ready, a waiter is put on each side of each descriptor that
 * matters, and the G parks; an event of any makes it ask again. poll is level-triggered and our events are edges; what
 * makes it right is that the events were counted before the question: a side that became ready after it shows as a
 * changed count when the waiter is armed. What is ready all the time was ready at the question. Waiters of poll want
 * every event and pass none on, since they consume nothing.
 *
 * The set is copied once, as the kernel does: the program may change its own meanwhile. A descriptor that another G closes
 * is waited for under another number; once it has something to tell, the kernel looks at the program's number again,
 * which is nobody's or somebody else's then, and so do we.
 */
#include "pollset.h"
#include <linux/poll.h>

#define POLL_WRITE (POLLOUT | POLLWRNORM | POLLWRBAND)
#define POLLSET_MAX 65536

void pollset_init(struct pollset *s, size_t n)
{
	s->n = n;
	s->again = false;
	if (n <= POLLSET_SMALL) {
		s->p = s->small_p;
		s->node = s->small_node;
	} else {
		s->p = rt_alloc(n * sizeof(*s->p));
		s->node = rt_alloc(2 * n * sizeof(*s->node));
	}
}

void pollset_free(struct pollset *s)
{
	if (s->n > POLLSET_SMALL) {
		rt_free(s->p, s->n * sizeof(*s->p));
		rt_free(s->node, 2 * s->n * sizeof(*s->node));
	}
}

static void node_init(struct pollnode *node, struct g *g, int fd, enum iodir dir, bool wanted)
{
	struct fdesc *e = wanted && fd >= 0 ? fdesc_get(fd) : NULL;
	node->used = e != NULL;
	node->number = fd;
	if (!e)
		return;
	iowait_init(&node->w, g, e, fd, dir, WaitPoll);
	node->w.level = true;
}

static void nodes_init(struct pollset *s, struct g *g)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct kpollfd *p = &s->p[i];
		bool write = p->events & POLL_WRITE;
		/* An end or an error counts even for one that asks for nothing: the read side hears of it. */
		node_init(&s->node[2 * i], g, p->fd, DirRead, !write || p->events & ~POLL_WRITE);
		node_init(&s->node[2 * i + 1], g, p->fd, DirWrite, write);
	}
}

static void nodes_end(struct pollset *s)
{
	for (size_t i = 0; i < 2 * s->n; i++)
		if (s->node[i].used)
			iowait_end(&s->node[i].w);
}

long kernel_poll(const void *fds, size_t n)
{
	long ret;
	do
		ret = sys3(__NR_poll, fds, n, 0);
	while (ret == -EINTR);
	return ret;
}

/* Reads the counts, and the numbers under which to ask. */
static void nodes_look(struct pollset *s)
{
	for (size_t i = 0; i < 2 * s->n; i++) {
		struct pollnode *node = &s->node[i];
		if (!node->used)
			continue;
		node->seen = fdesc_seen(load_acq(&node->w.e), (enum iodir)node->w.dir);
		s->p[i / 2].fd = load_acq(&node->w.fd);
	}
}

/* What is ready was, in part, closed meanwhile: asks for the program's numbers. False: nothing was. */
static bool nodes_renumber(struct pollset *s)
{
	bool any = false;
	for (size_t i = 0; i < 2 * s->n; i++) {
		struct pollnode *node = &s->node[i];
		if (node->used && s->p[i / 2].fd != node->number) {
			s->p[i / 2].fd = node->number;
			any = true;
		}
	}
	return any;
}

/* The program knows now that there is something to read, perhaps before its event has come in here. */
static void nodes_readable(struct pollset *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->p[i].revents & POLLIN && s->node[2 * i].used)
			store_rlx(&load_rlx(&s->node[2 * i].w.e)->drained, 0);
}

/* 0: all armed; 1: ask again; IO_HANDOFF. */
static long nodes_arm(struct pollset *s, uint32_t seq)
{
	for (size_t i = 0; i < 2 * s->n; i++) {
		struct pollnode *node = &s->node[i];
		if (!node->used)
			continue;
		int r = iowait_arm(&node->w, seq, node->seen);
		if (r == -EPERM)
			node->used = false; /* never becomes ready that was not */
		else if (r)
			return r < 0 ? IO_HANDOFF : 1;
	}
	return 0;
}

long pollset_wait(struct pollset *s, int64_t deadline, pollset_count count, void *arg)
{
	struct g *g = getg();
	bool late = false;
	long ret;
	nodes_init(s, g);
	g->wait_fd = s->n ? s->p[0].fd : -1;
	for (;;) {
		nodes_look(s);
		ret = kernel_poll(s->p, s->n);
		if (ret >= 0)
			ret = count(s, arg);
		if (unlikely(ret > 0 && s->again) && nodes_renumber(s)) {
			ret = kernel_poll(s->p, s->n);
			ret = ret >= 0 ? count(s, arg) : ret;
		}
		s->again = true;
		if (ret || late) {
			nodes_readable(s);
			break;
		}
		uint32_t seq = wait_begin(g, WaitPoll);
		ret = nodes_arm(s, seq);
		if (ret) {
			wait_cancel(g);
			if (ret == 1)
				continue;
			break;
		}
		enum iowake how = iowait_park(g, seq, deadline);
		if (how == IoSignal) {
			ret = -ERESTARTNOHAND;
			break;
		}
		late = how == IoTimeout; /* one more question, as in the kernel: what has come by now counts */
	}
	nodes_end(s);
	return ret;
}

/* --- timeouts and masks --- */

long polltimeout_read(struct polltimeout *t, uintptr_t ptr, bool usec)
{
	struct ktimespec ts;
	t->ptr = ptr;
	t->usec = usec;
	t->ns = -1;
	t->deadline = 0;
	if (!ptr)
		return 0;
	if (user_read(&ts, ptr, sizeof(ts)))
		return -EFAULT;
	if (usec) { /* select normalises, and only refuses what is negative */
		if (ts.sec < 0 || ts.nsec < 0)
			return -EINVAL;
		int64_t sec = ts.nsec / 1000000;
		ts.sec = ts.sec > INT64_MAX - sec ? INT64_MAX : ts.sec + sec;
		ts.nsec = ts.nsec % 1000000 * 1000;
	}
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= NSEC_PER_SEC)
		return -EINVAL;
	t->ns = ts.sec >= INT64_MAX / NSEC_PER_SEC ? INT64_MAX : ts.sec * NSEC_PER_SEC + ts.nsec;
	if (t->ns)
		t->deadline = deadline_after(t->ns);
	return 0;
}

void polltimeout_update(const struct polltimeout *t)
{
	if (t->ns <= 0)
		return;
	int64_t left = t->deadline - os_nanotime();
	if (left < 0)
		left = 0;
	struct ktimespec ts = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };
	if (t->usec)
		ts.nsec /= 1000;
	user_write(t->ptr, &ts, sizeof(ts)); /* the kernel, too, lets a failure pass */
}

/* 1: the mask is in force until sigmask_end. */
long sigmask_begin(uintptr_t mask, size_t size)
{
	uint64_t set;
	if (!mask)
		return 0;
	if (size != sizeof(set))
		return -EINVAL;
	if (user_read(&set, mask, sizeof(set)))
		return -EFAULT;
	sig_swap_mask(getg(), set);
	return 1;
}

/* When a signal ended the call, dispatch restores the mask after the handler's frame has been built. */
long sigmask_end(bool swapped, long ret)
{
	if (swapped && ret != -ERESTARTNOHAND && ret != -EINTR)
		sig_restore_mask(getg());
	return ret;
}

long sigmask_end_late(bool swapped, long ret)
{
	if (swapped && !sig_deliverable(getg()))
		sig_restore_mask(getg());
	return ret;
}

/* --- the calls --- */

static long count_poll(const struct pollset *s, void *arg)
{
	long n = 0;
	(void)arg;
	for (size_t i = 0; i < s->n; i++)
		n += s->p[i].revents != 0;
	return n;
}

/* As in the kernel, a signal that the call lets through ends it even if it does not wait; unless something is ready. */
long polled_once(long ret)
{
	return ret == 0 && sig_deliverable(getg()) ? -ERESTARTNOHAND : ret;
}

/* deadline: 0 none; < 0: do not wait. */
static long poll_until(struct regs *r, int64_t deadline)
{
	uintptr_t ufds = A1(r);
	size_t n = (unsigned)A2(r);
	struct pollset s;
	if (deadline < 0)
		return polled_once(kernel_poll((const void *)ufds, n));
	if (n > POLLSET_MAX)
		return IO_HANDOFF;
	pollset_init(&s, n);
	long ret = n && user_read(s.p, ufds, n * sizeof(*s.p)) ? -EFAULT : pollset_wait(&s, deadline, count_poll, NULL);
	if (ret >= 0)
		for (size_t i = 0; i < n; i++)
			if (user_write(ufds + i * sizeof(*s.p) + offsetof(struct kpollfd, revents), &s.p[i].revents,
				       sizeof(short)))
				ret = -EFAULT;
	pollset_free(&s);
	return ret;
}

static long poll_in_kernel(struct regs *r, int64_t deadline)
{
	int64_t left[2];
	const long a[6] = { (long)A1(r), (long)A2(r), deadline ? (long)left : 0, 0, 0, 0 };
	return deadline ? blocking_syscall_until(getg(), __NR_ppoll, a, left, deadline) : blocking_syscall_long(getg(), __NR_ppoll, a);
}

long shim_poll(struct regs *r)
{
	int ms = (int)A3(r);
	int64_t deadline = ms < 0 ? 0 : ms == 0 ? -1 : deadline_after(ms * NSEC_PER_MSEC);
	long ret = poll_until(r, deadline);
	if (ret == IO_HANDOFF)
		ret = poll_in_kernel(r, deadline);
	if (unlikely(ret == -ENOSYS || ret == -EPERM)) { /* by a filter, of ppoll, which the program did not call */
		const long a[6] = { (long)A1(r), (long)A2(r), ms_left(deadline), 0, 0, 0 };
		ret = blocking_syscall_long(getg(), __NR_poll, a);
	}
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

long shim_ppoll(struct regs *r)
{
	struct polltimeout t;
	long ret = polltimeout_read(&t, A3(r), false);
	if (ret)
		return ret;
	long swapped = sigmask_begin(A4(r), A5(r));
	if (swapped < 0)
		return swapped;
	ret = poll_until(r, t.ns == 0 ? -1 : t.deadline);
	if (ret == IO_HANDOFF)
		ret = poll_in_kernel(r, t.deadline);
	polltimeout_update(&t);
	return sigmask_end(swapped, ret);
}
