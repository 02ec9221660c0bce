/* futex.c - waiting on a word of memory, for G's: the private half of futex(2).
 *
 * Waiters lie in buckets hashed by address, in order of arrival. A waiter is queued and the word compared under the
 * bucket's lock, and a waker takes that lock after it changed the word; so either the waiter sees the new value or the
 * waker sees the waiter. A count of waiters that spares the waker the lock, as in the kernel, would cost a full
 * barrier on either side, which is what the lock costs.
 * Who ends a wait is decided by the wait record (park.c), not by the queue: a waker that finds a waiter whose record
 * somebody else has claimed drops it and goes on to the next, so no wake-up is lost on a thread that timed out.
 */
#include "futex.h"
#include "prof.h"

#define NBUCKETS 4096

static struct futexbucket buckets[NBUCKETS];
_Atomic bool futex_by_kernel;

struct futexbucket *futex_bucket(uintptr_t addr)
{
	/* the upper bits of the product, as an offset: compilers then compute the address once */
	uint64_t h = ((uint64_t)addr >> 2) * 0x9e3779b97f4a7c15ULL;
	return (struct futexbucket *)((char *)buckets + (h >> 46 & (NBUCKETS - 1) * sizeof(*buckets)));
}
_Static_assert(sizeof(struct futexbucket) == 1 << 6 && NBUCKETS == 1 << 12, "futex_bucket");

void futex_lock2(struct futexbucket *a, struct futexbucket *b)
{
	if (a > b) {
		struct futexbucket *t = a;
		a = b;
		b = t;
	}
	futex_lock(a);
	if (a != b)
		futex_lock(b);
}

void futex_unlock2(struct futexbucket *a, struct futexbucket *b)
{
	futex_unlock(a);
	if (a != b)
		futex_unlock(b);
}

static void append(struct futexbucket *b, struct futexw *w)
{
	w->next = NULL;
	w->prev = b->tail;
	if (b->tail)
		b->tail->next = w;
	else
		b->head = w;
	b->tail = w;
}

static void detach(struct futexbucket *b, struct futexw *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		b->head = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		b->tail = w->prev;
}

void futex_enqueue_locked(struct futexbucket *b, struct futexw *w)
{
	append(b, w);
	store_rel(&w->bucket, b);
}

void futex_unlink_locked(struct futexbucket *b, struct futexw *w)
{
	detach(b, w);
	store_rel(&w->bucket, NULL);
}

/* From one queue to another, both locked. The waiter is never seen without a bucket: one that times out now would take
 * itself for unqueued, and be linked while its G goes on. */
void futex_move_locked(struct futexbucket *from, struct futexbucket *to, struct futexw *w)
{
	detach(from, w);
	append(to, w);
	store_rel(&w->bucket, to);
}

/* The waiter leaves whatever bucket it is in by now (a requeue may have moved it). */
void futex_leave(struct futexw *w)
{
	struct futexbucket *b;
	while ((b = load_acq(&w->bucket))) {
		futex_lock(b);
		if (load_rlx(&w->bucket) == b)
			futex_unlink_locked(b, w);
		futex_unlock(b);
	}
}

static inline __attribute__((always_inline)) long queue(struct futexw *w, uint32_t val)
{
	struct futexbucket *b = futex_bucket(w->addr);
	w->val = val;
	futex_lock(b);
	int64_t now = arch_user_read32((const void *)w->addr);
	if (likely(now == val && (!load_rlx(&futex_by_kernel) || !w->bitset))) {
		futex_enqueue_locked(b, w);
		futex_unlock(b);
		return 0;
	}
	futex_unlock(b);
	return now < 0 ? -EFAULT : now == val ? -EINTR : -EAGAIN;
}

/* Compares and queues: 0, -EAGAIN if the word has another value, -EFAULT, -EINTR if the call is to be made again. */
long futex_queue(struct futexw *w, uint32_t val)
{
	return queue(w, val);
}

/* The rest of a wait whose waiter is queued. */
static inline __attribute__((always_inline)) long sleep_queued(struct g *g, struct futexw *w, uint32_t seq, int64_t deadline)
{
	if (unlikely(deadline))
		timer_add(&g->timer, deadline, timer_wake, g, seq);
	if (unlikely(load_acq(&g->interrupt)))
		wake_g(g, seq, WakeSignal);
	enum wake how = wait_park_inline(g);
	if (unlikely(deadline))
		timer_del(&g->timer);
	if (likely(how == WakeReady))
		return 0;
	futex_leave(w);
	return how == WakeTimeout ? -ETIMEDOUT : -EINTR;
}

long futex_sleep(struct g *g, struct futexw *w, uint32_t seq, int64_t deadline)
{
	return sleep_queued(g, w, seq, deadline);
}

static inline __attribute__((always_inline)) long wait(struct g *g, uintptr_t addr, uint32_t val, uint32_t bitset, int64_t deadline)
{
	struct futexw *w = &g->fw;
	uint32_t seq = wait_begin(g, WaitFutex);
	w->addr = addr;
	w->g = g;
	w->seq = seq;
	w->bitset = bitset;
	w->pi = 0;
	w->requeue_pi = 0;
	w->how = WakeReady;
	g->wait_addr = addr;
	long err = queue(w, val);
	if (unlikely(err)) {
		wait_cancel(g);
		if (err == -EAGAIN && !one_p)
			spin_apart(addr);
		return err;
	}
	return sleep_queued(g, w, seq, deadline);
}

long futex_wait(struct g *g, uintptr_t addr, uint32_t val, uint32_t bitset, int64_t deadline)
{
	return wait(g, addr, val, bitset, deadline);
}

long futex_wait_forever(uintptr_t addr, uint32_t val)
{
	return wait(getg(), addr, val, ~0u, 0);
}

static inline bool is_woken_by(const struct futexw *w, uintptr_t addr, uint32_t bitset)
{
	return w->addr == addr && w->bitset & bitset;
}

/* Claims w's G and unlinks it. */
static inline enum claim take(struct futexbucket *b, struct futexw *w)
{
	struct g *g = w->g;
	enum wake how = w->how;
	uint32_t seq = w->seq;
	futex_unlink_locked(b, w); /* before the claim: afterwards w may be gone */
	return wait_claim_futex(g, seq, how);
}

/* 1 if it was still to be had. G's to be readied after unlocking go to q. */
long futex_take_locked(struct futexbucket *b, struct futexw *w, struct gqueue *q)
{
	struct g *g = w->g;
	enum claim c = take(b, w);
	if (c == ClaimParked)
		gqueue_push(q, g);
	return c != ClaimLost;
}

static __attribute__((noinline)) long wake_many(uintptr_t addr, uint32_t n, uint32_t bitset)
{
	struct futexbucket *b = futex_bucket(addr);
	struct gqueue q = { 0 };
	long woken = 0;
	uint64_t delay = 0, count;
	futex_lock(b);
	if (inspecting(InspectMutex) && n == 1)
		delay = prof_mutex_delay_locked(b, addr, &count);
	struct futexw *next;
	for (struct futexw *w = b->head; w && (uint32_t)woken < n; w = next) {
		next = w->next;
		if (is_woken_by(w, addr, bitset))
			woken += futex_take_locked(b, w, &q);
	}
	futex_unlock(b);
	if (unlikely(delay))
		prof_mutex(delay, count);
	futex_ready(&q);
	return woken;
}

/* Wakes up to n waiters of addr whose bitset meets ours. Returns how many. Mostly it is one, the first of its bucket. */
long futex_wake(uintptr_t addr, uint32_t n, uint32_t bitset)
{
	struct futexbucket *b = futex_bucket(addr);
	if (unlikely(n != 1 || inspecting(InspectMutex)))
		return wake_many(addr, n, bitset);
	futex_lock(b);
	struct futexw *w = b->head;
	if (unlikely(!w || !is_woken_by(w, addr, bitset))) {
		futex_unlock(b);
		return w ? wake_many(addr, n, bitset) : 0;
	}
	struct g *g = w->g;
	enum claim c = take(b, w);
	futex_unlock(b);
	if (unlikely(c == ClaimLost))
		return wake_many(addr, n, bitset);
	if (likely(c == ClaimParked))
		ready(g);
	return 1;
}

/* One G becomes runnext (a hand-off); of many, each goes to the ring and other M's are woken. */
void futex_ready(struct gqueue *q)
{
	if (q->n == 1)
		ready(gqueue_pop(q));
	else
		ready_list(q);
}

/* The kernel is to have all waits from now on, private ones too, as only there all meet: somebody who is no G shares the memory, or a
 * G waits for private and for shared words at once. G's that wait here make their calls again. Not for PI locks, where the kernel
 * wants ids of its own. */
void futex_leave_to_kernel(void)
{
	struct gqueue q = { 0 };
	if (atomic_exchange(&futex_by_kernel, true))
		return;
	for (uint32_t i = 0; i < NBUCKETS; i++) {
		struct futexbucket *b = &buckets[i];
		struct futexw *next;
		futex_lock(b);
		for (struct futexw *w = b->head; w; w = next) {
			next = w->next;
			if (!w->bitset)
				continue;
			w->how = WakeSignal;
			futex_take_locked(b, w, &q);
		}
		futex_unlock(b);
	}
	ready_list(&q);
}

void futex_init(void)
{
	for (uint32_t i = 0; i < NBUCKETS; i++)
		lock_set_rank(&buckets[i].lock, RankFutex);
}

/* Writes only where there is something: in the child of a fork each page that is written to is copied. Another M may have been in
 * the middle of a change, so one of the two may be set alone. */
void futex_reset(void)
{
	for (uint32_t i = 0; i < NBUCKETS; i++) {
		struct futexbucket *b = &buckets[i];
		if (load_rlx(&b->lock.v))
			store_rlx(&b->lock.v, 0);
		if (b->head || b->tail)
			b->head = b->tail = NULL;
	}
	store_rlx(&futex_by_kernel, false);
	futex_init();
}
