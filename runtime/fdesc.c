/* fdesc.c - the table of descriptors: what is remembered about each number.
 *
 * Kind, flags and registration are found out once and hold until the number is closed. While a close is under way nothing
 * is remembered, because a G that uses the number at that time may reach the old file or a new one. The table is
 * reserved address space made of zeroes; a page of it becomes memory when a number in it is first used.
 */
#include "fdesc.h"
#include <linux/mman.h>

struct fdesc *_Atomic fdtab;
_Atomic uint32_t fd_epoch = 1;

_Atomic uint32_t fd_shares;
_Atomic uint32_t fd_leaks;

static _Atomic int highest = -1;
static struct lock tab_lock = LOCK_INIT(RankNetpoll);

struct fdesc *fdtab_init(void)
{
	lock(&tab_lock);
	struct fdesc *t = load_rlx(&fdtab);
	if (!t) {
		t = os_reserve(FDTAB_LEN * sizeof(*t));
		if (!t)
			throw("no address space for the table of descriptors");
		store_rel(&fdtab, t); /* release: pairs with the acquire in fdesc_get */
	}
	unlock(&tab_lock);
	return t;
}

/* With thousands of descriptors each event finds cold memory: its descriptor, then the waiter on a sleeping stack. */
void fdesc_prefetch(int fd, bool waiter)
{
	struct fdesc *e = fdesc_get(fd);
	if (!e)
		return;
	__builtin_prefetch(waiter ? *(void *volatile *)&e->waiters[DirRead] : (void *)e);
}

/* The highest number of which anything may be remembered. */
int fdesc_highest(void)
{
	return load_acq(&highest);
}

void fdesc_touch(int fd)
{
	int old = load_rlx(&highest);
	while (unlikely(fd > old) && !atomic_compare_exchange_weak(&highest, &old, fd))
		;
}

/* The table is made of zeroes: the lock gets its rank when it is first used. */
void fdesc_lock(struct fdesc *e)
{
	e->lock.rank = RankNetpoll;
	lock(&e->lock);
}

#define NHINTS 256
static _Atomic uint32_t reader_hint[NHINTS]; /* by inode: where a G last waited to read from a pipe */

void pipe_reader_is(struct fdesc *e, int fd)
{
	store_rlx(&reader_hint[load_rlx(&e->ino) % NHINTS], (uint32_t)fd);
}

struct fdesc *pipe_reader(struct fdesc *e)
{
	uint32_t ino = load_rlx(&e->ino);
	struct fdesc *r = fdesc_get((int)load_rlx(&reader_hint[ino % NHINTS]));
	bool waits = r && load_rlx(&r->ino) == ino && load_rlx(&r->kind) == KindPipe && r->waiters[DirRead];
	return waits ? r : NULL;
}

/* --- what is remembered about a number --- */

void fdesc_reset_locked(struct fdesc *e)
{
	store_rlx(&e->gen, load_rlx(&e->gen) + 1);
	store_rlx(&e->flags, 0);
	store_rlx(&e->drained, 0);
	store_rlx(&e->born, 0);
	store_rlx(&e->own, 0);
	store_rlx(&e->kind, KindUnknown);
}

void fdesc_set_kind(struct fdesc *e, enum fdkind kind)
{
	fdesc_touch((int)(e - load_rlx(&fdtab)));
	fdesc_lock(e);
	if (!load_rlx(&e->closing))
		store_rlx(&e->kind, (uint8_t)kind);
	unlock(&e->lock);
}

void fdesc_set_pipe(struct fdesc *e, uint32_t ino)
{
	store_rlx(&e->ino, ino);
	fdesc_set_kind(e, KindPipe);
}

void fdesc_set_flags(struct fdesc *e, uint8_t set, uint32_t epoch)
{
	fdesc_lock(e);
	if (!load_rlx(&e->closing)) {
		uint8_t old = load_rlx(&e->flags) & (uint8_t) ~(FD_NONBLOCK | FD_BLOCKING);
		store_rlx(&e->flags, old | set);
		store_rlx(&e->epoch, epoch);
	}
	unlock(&e->lock);
}

void fdesc_forget(struct fdesc *e)
{
	fdesc_lock(e);
	if (!(load_rlx(&e->flags) & FD_PRIVATE) && !fdesc_is_waited(e))
		fdesc_reset_locked(e);
	unlock(&e->lock);
}

bool fdesc_close_begin(struct fdesc *e, int fd)
{
	fdesc_touch(fd);
	fdesc_lock(e);
	store_rlx(&e->closing, load_rlx(&e->closing) + 1);
	bool waited = fdesc_is_waited(e);
	if (!waited) {
		/* A file that lives on under another number or in another process would go on reporting. */
		if (load_rlx(&e->flags) & FD_REG && load_rlx(&fd_shares))
			netpoll_unregister(fd);
		fdesc_reset_locked(e);
	}
	unlock(&e->lock);
	return waited;
}

void fdesc_close_end(struct fdesc *e)
{
	fdesc_lock(e);
	store_rlx(&e->closing, load_rlx(&e->closing) - 1);
	unlock(&e->lock);
}

void fdesc_set_private(struct fdesc *e, bool on)
{
	fdesc_lock(e);
	fdesc_reset_locked(e);
	store_rlx(&e->flags, on ? FD_PRIVATE : 0);
	unlock(&e->lock);
}

/* In the child of a fork nobody waits, and every number is unknown again. */
void fdtab_after_fork(void)
{
	struct fdesc *t = load_rlx(&fdtab);
	tab_lock = (struct lock)LOCK_INIT(RankNetpoll);
	if (t && os_madvise(t, FDTAB_LEN * sizeof(*t), MADV_DONTNEED))
		throw("madvise of the table of descriptors");
}
