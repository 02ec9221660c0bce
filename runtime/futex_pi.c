/* futex_pi.c - priority-inheritance futexes on private memory: LOCK_PI, UNLOCK_PI, TRYLOCK_PI and the requeue pair.
 *
 * The word holds the owner's thread id, or 0. An unlock with waiters hands the lock to the first of them: it writes
 * the new owner's id before anybody else can see the lock free. Waiters are served in order of arrival: priorities of
 * G's are recorded, not applied, so there is nothing to inherit.
 * All changes of a word that has waiters happen under its bucket's lock; a woken owner passes through that lock
 * once, so that it does not run before its id stands in the word.
 */
#include "futex.h"
#include <linux/futex.h>

/* Tries to take the lock for tid (and FUTEX_WAITERS, if others wait): 1 taken, 0 owned by somebody (whose word is in *v, with FUTEX_WAITERS set), -errno. */
long futex_pi_take(uintptr_t addr, uint32_t tid, bool mark_waiters, uint32_t *v)
{
	int err = arch_user_load32((const void *)addr, v);
	while (err == 0) {
		uint32_t owner = *v & FUTEX_TID_MASK, want;
		if (owner == (tid & FUTEX_TID_MASK))
			return -EDEADLK;
		if (owner == 0)
			want = tid | (*v & (FUTEX_OWNER_DIED | FUTEX_WAITERS));
		else if (!mark_waiters || *v & FUTEX_WAITERS)
			return 0;
		else
			want = *v | FUTEX_WAITERS;
		int r = arch_user_cmpxchg32((void *)addr, v, want);
		if (r < 0)
			return r;
		if (r == 1) {
			*v = want;
			if (owner == 0)
				return 1;
		}
	}
	return err;
}

static long pi_wait(struct g *g, struct futexw *w, uint32_t seq, int64_t deadline)
{
	long ret = futex_sleep(g, w, seq, deadline);
	struct futexbucket *b = futex_bucket(w->addr);
	futex_lock(b);
	futex_unlock(b);
	return ret;
}

long futex_lock_pi(struct g *g, uintptr_t addr, int64_t deadline, bool try)
{
	struct futexbucket *b = futex_bucket(addr);
	struct futexw *w = &g->fw;
	uint32_t v;
	futex_lock(b);
	long r = futex_pi_take(addr, g->tid, !try, &v);
	if (r == 0 && try)
		r = -EAGAIN;
	if (r == 0 && !g_by_tid(v & FUTEX_TID_MASK))
		r = -ESRCH;
	if (r != 0) {
		futex_unlock(b);
		return r == 1 ? 0 : r;
	}
	uint32_t seq = wait_begin(g, WaitFutexPI);
	*w = (struct futexw){ .addr = addr, .g = g, .seq = seq, .pi = 1, .how = WakeReady };
	g->wait_addr = addr;
	futex_enqueue_locked(b, w);
	futex_unlock(b);
	return pi_wait(g, w, seq, deadline);
}

static bool more_waiters(const struct futexw *w, uintptr_t addr)
{
	for (; w; w = w->next)
		if (w->addr == addr && w->pi)
			return true;
	return false;
}

/* Gives the lock to the first waiter that can still be had, else frees it. Bucket locked. */
static void hand_over_locked(struct futexbucket *b, uintptr_t addr, uint32_t died, struct gqueue *q)
{
	struct futexw *next;
	for (struct futexw *w = b->head; w; w = next) {
		next = w->next;
		if (w->addr != addr || !w->pi)
			continue;
		uint32_t tid = w->g->tid;
		if (!futex_take_locked(b, w, q))
			continue;
		arch_user_store32((void *)addr, tid | died | (more_waiters(b->head, addr) ? FUTEX_WAITERS : 0));
		return;
	}
	arch_user_store32((void *)addr, died);
}

static void hand_over(uintptr_t addr, uint32_t died)
{
	struct futexbucket *b = futex_bucket(addr);
	struct gqueue q = { 0 };
	futex_lock(b);
	hand_over_locked(b, addr, died, &q);
	futex_unlock(b);
	futex_ready(&q);
}

long futex_unlock_pi(struct g *g, uintptr_t addr)
{
	uint32_t v;
	int err = arch_user_load32((const void *)addr, &v);
	if (err)
		return err;
	if ((v & FUTEX_TID_MASK) != g->tid)
		return -EPERM;
	hand_over(addr, 0);
	return 0;
}

/* The owner ended with the lock held (robust list). */
void futex_pi_owner_died(uintptr_t word)
{
	hand_over(word, FUTEX_OWNER_DIED);
}

long futex_wait_requeue_pi(struct g *g, uintptr_t addr, uint32_t val, uint32_t bitset, uintptr_t target, int64_t deadline)
{
	struct futexw *w = &g->fw;
	if (addr == target || !bitset)
		return -EINVAL;
	uint32_t seq = wait_begin(g, WaitFutex);
	*w = (struct futexw){ .addr = addr, .g = g, .seq = seq, .requeue_pi = target, .how = WakeReady };
	g->wait_addr = addr;
	long err = futex_queue(w, val);
	if (err) {
		wait_cancel(g);
		return err;
	}
	err = pi_wait(g, w, seq, deadline);
	/* Interrupted before it was moved: the caller must look at its condition again. */
	return err == -EINTR ? -EAGAIN : err;
}

/* Moves waiters of `from` to the lock `to`; the first gets the lock at once if it is free. */
long futex_cmp_requeue_pi(uintptr_t from, uintptr_t to, uint32_t nmove, uint32_t cmp)
{
	struct futexbucket *a = futex_bucket(from), *b = futex_bucket(to);
	struct gqueue q = { 0 };
	uint32_t now, v, done = 0;
	futex_lock2(a, b);
	long err = arch_user_load32((const void *)from, &now);
	if (!err && now != cmp)
		err = -EAGAIN;
	struct futexw *next;
	for (struct futexw *w = a->head; !err && w && done < nmove + 1; w = next) {
		next = w->next;
		if (w->addr != from)
			continue;
		if (w->requeue_pi != to) {
			err = -EINVAL;
			break;
		}
		struct g *g = w->g;
		long r = futex_pi_take(to, g->tid, true, &v);
		if (r < 0) {
			err = r;
			break;
		}
		if (r == 1) {
			if (futex_take_locked(a, w, &q))
				done++;
			else /* its time was over just now, and it does not know that it has the lock */
				hand_over_locked(b, to, 0, &q);
			continue;
		}
		w->addr = g->wait_addr = to;
		w->pi = 1;
		w->requeue_pi = 0;
		futex_move_locked(a, b, w);
		done++;
	}
	futex_unlock2(a, b);
	futex_ready(&q);
	return err ? err : (long)done;
}
