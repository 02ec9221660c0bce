/* futex.h - the futex queues, for futex.c (waiting and waking), futex_pi.c and the shims. */
#ifndef PRELOOM_FUTEX_H
#define PRELOOM_FUTEX_H

#include <asm/errno.h>
#include "runtime.h"

struct futexbucket {
	struct lock lock;
	struct futexw *head, *tail;
	struct { /* while locks are profiled: the last unlocks, see profblock.c; two, as two locks may share the bucket */
		uintptr_t addr;
		uint64_t ticks;
	} unlock[2];
} __attribute__((aligned(64)));

extern _Atomic bool futex_by_kernel; /* see futex_leave_to_kernel */

struct futexbucket *futex_bucket(uintptr_t addr);

/* Whoever looks into a queue holds a P from before he locks it until after he unlocked it. So with one P there is nobody to
 * lock out, and a hand-off is spared two locked instructions. */
static inline void futex_lock(struct futexbucket *b)
{
	debug_check(!one_p || getm()->p);
	if (!one_p)
		lock(&b->lock);
}

static inline void futex_unlock(struct futexbucket *b)
{
	if (!one_p)
		unlock(&b->lock);
}

void futex_lock2(struct futexbucket *a, struct futexbucket *b);
void futex_unlock2(struct futexbucket *a, struct futexbucket *b);
void futex_enqueue_locked(struct futexbucket *b, struct futexw *w);
void futex_unlink_locked(struct futexbucket *b, struct futexw *w);
void futex_move_locked(struct futexbucket *from, struct futexbucket *to, struct futexw *w);
long futex_take_locked(struct futexbucket *b, struct futexw *w, struct gqueue *q);
void futex_leave(struct futexw *w);
long futex_queue(struct futexw *w, uint32_t val);
long futex_sleep(struct g *g, struct futexw *w, uint32_t seq, int64_t deadline);
void futex_ready(struct gqueue *q);
void futex_leave_to_kernel(void);

/* futex_ops.c, futex_pi.c: as in futex(2), private memory */
long futex_requeue(uintptr_t from, uintptr_t to, uint32_t nwake, uint32_t nmove, const uint32_t *cmp);
long futex_wake_op(uintptr_t a1, uintptr_t a2, uint32_t n1, uint32_t n2, uint32_t op);
long futex_waitv(struct g *g, struct futexw *w, const uint32_t *val, uint32_t n, int64_t deadline);
long futex_pi_take(uintptr_t addr, uint32_t tid, bool mark_waiters, uint32_t *v);
long futex_lock_pi(struct g *g, uintptr_t addr, int64_t deadline, bool try);
long futex_unlock_pi(struct g *g, uintptr_t addr);
long futex_wait_requeue_pi(struct g *g, uintptr_t addr, uint32_t val, uint32_t bitset, uintptr_t target, int64_t deadline);
long futex_cmp_requeue_pi(uintptr_t from, uintptr_t to, uint32_t nmove, uint32_t cmp);
void futex_init(void);

#endif
