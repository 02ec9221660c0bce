/* iowait.c - how a G waits for a descriptor.
 *
 * No wake-up is lost between a failed try and the park, without a lock around the try: each direction counts its
 * events, the G reads the count before the try and arms its waiter only if, under the descriptor's lock, the count is
 * still the same. Every change of the file from "not now" to "now" after the try is an edge, hence an event, hence a
 * change of the count (or, if the file was not registered yet, reported by the registration itself). Nothing is
 * consumed from the count, so several readers of one descriptor do not steal each other's hints.
 *
 * An event wakes one waiter that consumes (read, accept) and all that only look (poll); the consumer passes the wake on
 * to the next when it leaves, since there may be more than it took. An end or an error wakes all.
 *
 * A waiter stays linked from its first park to the end of the call. When another G closes the number, the waiters move
 * to a private duplicate of the descriptor and go on, as they would natively; the duplicate is closed by the last of
 * them. The closer must not let the number be reused while a waiter is between reading `fd` and its next try: the
 * waiter writes state Busy, then reads fd; the closer writes fd, then reads state (both sequentially consistent), and
 * waits while it is Busy.
 *
 * A G that writes to a pipe or eventfd of its own process need not leave it to epoll to find the reader: it counts the
 * event and claims the waiter itself (fdesc_poke), which saves the epoll_wait of each hand-off. The pipe's other end is
 * found by its inode through a small table of hints; a wrong hint only costs the saving. epoll reports the same edge
 * again, later and in a batch, when what it tells of is mostly read: then nobody is woken for it.
 *
 * Some files tell by poll what is new, and then it is old (mounts, pressure, perf events). epoll must not ask these before
 * the program does: poll of one, and a wait on an epoll descriptor to which the program has added one since there are threads, are
 * made in the kernel (by the number to which it was added: README's limits).
 *
 * Lock order: one descriptor at a time. G's are made runnable after its lock is given back.
 */
#include "fdesc.h"
#include <linux/errno.h>
#include <linux/eventpoll.h>

enum { StateIdle, StateArmed, StateBusy };

/* --- waiter lists: circular; those that consume in the order of arrival, behind those that only look --- */

static void link_locked(struct fdesc *e, struct iowait *w)
{
	struct iowait *head = e->waiters[w->dir];
	if (!head) {
		w->next = w->prev = w;
		e->waiters[w->dir] = w;
	} else {
		w->next = head;
		w->prev = head->prev;
		head->prev->next = w;
		head->prev = w;
		if (w->level)
			e->waiters[w->dir] = w;
	}
	w->linked = true;
}

static void unlink_locked(struct fdesc *e, struct iowait *w)
{
	if (w->next == w) {
		e->waiters[w->dir] = NULL;
	} else {
		w->next->prev = w->prev;
		w->prev->next = w->next;
		if (e->waiters[w->dir] == w)
			e->waiters[w->dir] = w->next;
	}
	w->linked = false;
}

static void wake_locked(struct fdesc *e, enum iodir dir, bool all, struct gqueue *out)
{
	struct iowait *head = e->waiters[dir], *w = head;
	if (!head)
		return;
	do {
		if (load_acq(&w->state) == StateArmed) {
			/* The seq of an armed waiter that was claimed before is old: the claim fails. */
			enum claim c = wait_claim(w->g, w->seq, WakeReady);
			if (c == ClaimParked)
				gqueue_push(out, w->g);
			if (c != ClaimLost && !w->level && !all)
				return;
		}
		w = w->next;
	} while (w != head);
}

/* One G goes to runnext, like any that the running one hands off to. */
static void ready_all(struct gqueue *out)
{
	if (out->n == 1)
		ready(gqueue_pop(out));
	else if (out->n)
		ready_list(out);
}

static struct fdesc *lock_of(struct iowait *w)
{
	for (;;) {
		struct fdesc *e = load_acq(&w->e);
		fdesc_lock(e);
		if (e == load_acq(&w->e))
			return e;
		unlock(&e->lock);
	}
}

/* Is what an event tells of gone already? A G of ours was told at once, when it was written. */
static bool stale_locked(struct fdesc *e, int fd)
{
	uint8_t flags = load_rlx(&e->flags);
	if (likely(!(flags & FD_POKED)))
		return false;
	store_rlx(&e->flags, flags & (uint8_t)~FD_POKED);
	return !os_readable(fd);
}

void fdesc_event(int fd, uint32_t gen, uint32_t events, struct gqueue *out)
{
	struct fdesc *e = fdesc_get(fd);
	if (!e)
		return;
	fdesc_lock(e);
	if (load_rlx(&e->gen) == gen && load_rlx(&e->flags) & FD_REG) {
		bool end = events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP);
		if (end || events & EPOLLPRI)
			store_rlx(&e->flags, load_rlx(&e->flags) | FD_HUP);
		if (end || events & (EPOLLIN | EPOLLPRI)) {
			/* release: pairs with fdesc_seen; also orders FD_HUP before it */
			store_rel(&e->seq[DirRead], load_rlx(&e->seq[DirRead]) + 1);
			if (end || events & EPOLLPRI || !stale_locked(e, fd))
				wake_locked(e, DirRead, end, out);
		}
		if (end || events & EPOLLOUT) {
			store_rel(&e->seq[DirWrite], load_rlx(&e->seq[DirWrite]) + 1);
			wake_locked(e, DirWrite, end, out);
		}
	}
	unlock(&e->lock);
}

static void try_again_locked(struct fdesc *e, enum iodir dir, struct gqueue *out)
{
	store_rel(&e->seq[dir], load_rlx(&e->seq[dir]) + 1);
	wake_locked(e, dir, true, out);
}

void fdesc_try_again(struct fdesc *e, enum iodir dir)
{
	struct gqueue out = { 0 };
	fdesc_lock(e);
	try_again_locked(e, dir, &out);
	unlock(&e->lock);
	ready_all(&out);
}

void fdesc_poke(struct fdesc *e)
{
	struct gqueue out = { 0 };
	fdesc_lock(e);
	store_rlx(&e->flags, load_rlx(&e->flags) | FD_POKED);
	store_rel(&e->seq[DirRead], load_rlx(&e->seq[DirRead]) + 1);
	wake_locked(e, DirRead, false, &out);
	unlock(&e->lock);
	ready_all(&out);
}

/* --- waiting --- */

void iowait_init(struct iowait *w, struct g *g, struct fdesc *e, int fd, enum iodir dir, enum waitreason why)
{
	w->g = g;
	w->deadline = 0;
	w->dir = (uint8_t)dir;
	w->reason = (uint8_t)why;
	w->level = w->linked = w->moved = false;
	store_rlx(&w->e, e);
	store_rlx(&w->fd, fd);
	store_rlx(&w->state, StateIdle);
}

/* epoll must not look at the file, since it would be told what the program is to be told. Asks the kernel: not under the lock. */
static bool tells_once(struct iowait *w)
{
	struct fdesc *e = load_acq(&w->e);
	enum fdkind k = (enum fdkind)load_rlx(&e->kind);
	return w->level && !(load_rlx(&e->flags) & FD_REG) && (k == KindUnknown || k == KindEvent) && os_tells_once(load_rlx(&w->fd));
}

/* e is an epoll descriptor of the program's, and from now on one of those. */
void fdesc_leave_to_kernel(struct fdesc *e, int fd)
{
	struct gqueue out = { 0 };
	fdesc_set_kind(e, KindFile);
	fdesc_lock(e);
	if (load_rlx(&e->flags) & FD_REG) {
		netpoll_unregister(fd);
		store_rlx(&e->flags, load_rlx(&e->flags) & (uint8_t)~FD_REG);
	}
	try_again_locked(e, DirRead, &out);
	try_again_locked(e, DirWrite, &out);
	unlock(&e->lock);
	ready_all(&out);
}

int iowait_arm(struct iowait *w, uint32_t wait_seq, uint32_t seen)
{
	netpoll_init(); /* not under the descriptor's lock */
	bool for_kernel = tells_once(w);
	struct fdesc *e = lock_of(w);
	int r = 0;
	uint8_t flags = load_rlx(&e->flags);
	if (w->moved) {
		w->moved = false;
		r = 1;
	} else if (unlikely(!(flags & FD_REG))) {
		fdesc_touch(load_rlx(&w->fd));
		for_kernel |= load_rlx(&e->kind) == KindFile;
		r = load_rlx(&e->closing) ? -EBADF :
		    for_kernel		  ? -EINVAL :
					    netpoll_register(load_rlx(&w->fd), load_rlx(&e->gen));
		if (r == 0)
			store_rlx(&e->flags, flags | FD_REG);
	}
	if (r >= 0 && load_rlx(&e->seq[w->dir]) != seen)
		r = 1;
	if (r == 0) {
		if (!w->linked)
			link_locked(e, w);
		if (w->dir == DirRead && load_rlx(&e->kind) == KindPipe)
			pipe_reader_is(e, load_rlx(&w->fd));
		w->seq = wait_seq;
		store_rlx(&w->state, StateArmed);
	}
	unlock(&e->lock);
	return r;
}

enum iowake iowait_park(struct g *g, uint32_t wait_seq, int64_t deadline)
{
	enum wake how;
	if (unlikely(load_acq(&g->interrupt))) {
		how = wait_cancel(g);
	} else {
		if (deadline)
			timer_add(&g->timer, deadline, timer_wake, g, wait_seq);
		atomic_fetch_add_explicit(&netpoll_nwait, 1, memory_order_relaxed);
		how = wait_park(g);
		atomic_fetch_sub_explicit(&netpoll_nwait, 1, memory_order_relaxed);
		if (deadline)
			timer_del(&g->timer);
	}
	if (how == WakeReady)
		return IoRetry;
	return how == WakeTimeout ? IoTimeout : IoSignal;
}

/* seen: the count before the try that failed. */
enum iowake iowait_sleep(struct iowait *w, uint32_t seen)
{
	struct g *g = w->g;
	g->wait_fd = load_rlx(&w->fd);
	uint32_t seq = wait_begin(g, (enum waitreason)w->reason);
	int r = iowait_arm(w, seq, seen);
	enum iowake how = IoRetry;
	if (r == 0)
		how = iowait_park(g, seq, w->deadline);
	else
		wait_cancel(g);
	/* seq_cst: before w->fd is read for the next try; see the head of this file */
	atomic_store(&w->state, StateBusy);
	return r < 0 ? IoHandoff : how;
}

void iowait_end(struct iowait *w)
{
	struct gqueue out = { 0 };
	int dup = -1;
	store_rel(&w->state, StateIdle);
	if (!w->linked)
		return;
	struct fdesc *e = lock_of(w);
	unlink_locked(e, w);
	if (!w->level)
		wake_locked(e, (enum iodir)w->dir, false, &out);
	if (unlikely((load_rlx(&e->flags) & (FD_PRIVATE | FD_MOVING)) == FD_PRIVATE) && !fdesc_is_waited(e))
		dup = load_rlx(&w->fd);
	unlock(&e->lock);
	if (dup >= 0)
		privfd_close(dup);
	ready_all(&out);
}

static bool any_busy(struct fdesc *e)
{
	bool busy = false;
	fdesc_lock(e);
	for (int dir = 0; dir < 2; dir++) {
		struct iowait *head = e->waiters[dir], *w = head;
		if (head)
			do
				busy |= !w->level && atomic_load(&w->state) == StateBusy;
			while ((w = w->next) != head);
	}
	unlock(&e->lock);
	return busy;
}

/* Hands e's waiters to `to`, of which nobody knows yet. A waiter may act on `to` as soon as its own `e` is set; those
 * after it are still e's, whose lock we hold, so that they stay linked and the walk may go on. */
static void move_locked(struct fdesc *e, struct fdesc *to, enum iodir dir, int fd)
{
	struct iowait *w;
	uint32_t n = 0;
	while ((w = e->waiters[dir])) {
		unlink_locked(e, w);
		link_locked(to, w);
		w->moved = true;
		n++;
	}
	for (w = to->waiters[dir]; n; n--) {
		struct iowait *next = w->next;
		atomic_store(&w->fd, fd); /* seq_cst: before any_busy reads the state */
		store_rel(&w->e, to);
		w = next;
	}
}

/* fd is about to be closed while G's wait on it: they go on with dup, a fresh private duplicate. dup < 0: there is
 * none to be had; they wake up and find what the kernel says of the number. */
void fdesc_move(struct fdesc *e, int fd, int dup)
{
	struct gqueue out = { 0 };
	struct fdesc *to = dup >= 0 ? fdesc_get(dup) : NULL;
	bool unused = false;
	if (to)
		store_rlx(&to->flags, FD_PRIVATE | FD_MOVING);
	fdesc_lock(e);
	for (int dir = 0; dir < 2; dir++)
		wake_locked(e, (enum iodir)dir, true, &out);
	if (to) {
		move_locked(e, to, DirRead, dup);
		move_locked(e, to, DirWrite, dup);
	}
	if (load_rlx(&e->flags) & FD_REG)
		netpoll_unregister(fd);
	fdesc_reset_locked(e);
	unlock(&e->lock);
	if (to) {
		fdesc_lock(to);
		store_rlx(&to->flags, load_rlx(&to->flags) & (uint8_t)~FD_MOVING);
		unused = !fdesc_is_waited(to);
		unlock(&to->lock);
	}
	ready_all(&out);
	for (int i = 0; to && i < 1000 && any_busy(to); i++)
		os_osyield();
	if (unused)
		privfd_close(dup);
}
