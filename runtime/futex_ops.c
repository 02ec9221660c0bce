/* futex_ops.c - FUTEX_REQUEUE, FUTEX_CMP_REQUEUE and FUTEX_WAKE_OP on private memory. */
#include "futex.h"
#include <linux/futex.h>

/* Wakes nwake waiters of `from` and moves up to nmove others to `to`. With cmp, -EAGAIN if *from differs.
 * Returns woken + moved, as the kernel does (whatever futex(2) says of FUTEX_REQUEUE); -EINTR if the kernel is to do it. */
long futex_requeue(uintptr_t from, uintptr_t to, uint32_t nwake, uint32_t nmove, const uint32_t *cmp)
{
	struct futexbucket *a = futex_bucket(from), *b = futex_bucket(to);
	struct gqueue q = { 0 };
	uint32_t woken = 0, moved = 0, now;
	futex_lock2(a, b);
	if (unlikely(load_rlx(&futex_by_kernel))) {
		/* Whoever sends the waiters there may have been at b already. */
		futex_unlock2(a, b);
		return -EINTR;
	}
	if (cmp) {
		int err = arch_user_load32((const void *)from, &now);
		if (err || now != *cmp) {
			futex_unlock2(a, b);
			return err ? err : -EAGAIN;
		}
	}
	struct futexw *next;
	for (struct futexw *w = a->head; w && (woken < nwake || moved < nmove); w = next) {
		next = w->next;
		if (w->addr != from || w->pi || w->requeue_pi)
			continue;
		if (woken < nwake) {
			woken += (uint32_t)futex_take_locked(a, w, &q);
			continue;
		}
		moved++;
		if (from == to)
			continue;
		w->addr = to;
		w->g->wait_addr = to;
		if (a == b)
			continue;
		futex_move_locked(a, b, w);
	}
	futex_unlock2(a, b);
	futex_ready(&q);
	return woken + moved;
}

static bool compare(uint32_t how, int32_t v, int32_t arg, int *err)
{
	switch (how) {
	case FUTEX_OP_CMP_EQ:
		return v == arg;
	case FUTEX_OP_CMP_NE:
		return v != arg;
	case FUTEX_OP_CMP_LT:
		return v < arg;
	case FUTEX_OP_CMP_LE:
		return v <= arg;
	case FUTEX_OP_CMP_GT:
		return v > arg;
	case FUTEX_OP_CMP_GE:
		return v >= arg;
	default:
		*err = -ENOSYS;
		return false;
	}
}

static int operate(uint32_t how, uint32_t v, uint32_t arg, uint32_t *out)
{
	switch (how) {
	case FUTEX_OP_SET:
		*out = arg;
		return 0;
	case FUTEX_OP_ADD:
		*out = v + arg;
		return 0;
	case FUTEX_OP_OR:
		*out = v | arg;
		return 0;
	case FUTEX_OP_ANDN:
		*out = v & ~arg;
		return 0;
	case FUTEX_OP_XOR:
		*out = v ^ arg;
		return 0;
	default:
		return -ENOSYS;
	}
}

long futex_wake_op(uintptr_t a1, uintptr_t a2, uint32_t n1, uint32_t n2, uint32_t op)
{
	uint32_t how = op >> 28 & 7, cmp = op >> 24 & 15, old, new;
	int32_t oparg = (int32_t)(op << 8) >> 20, cmparg = (int32_t)(op << 20) >> 20;
	uint32_t arg = op >> 28 & FUTEX_OP_OPARG_SHIFT ? 1u << (oparg & 31) : (uint32_t)oparg;
	int err = arch_user_load32((const void *)a2, &old);
	for (int done = 0; err == 0 && !done;) {
		err = operate(how, old, arg, &new);
		if (err == 0) {
			done = arch_user_cmpxchg32((void *)a2, &old, new);
			if (done < 0)
				err = done;
		}
	}
	if (err)
		return err;
	bool also = compare(cmp, (int32_t)old, cmparg, &err);
	if (err)
		return err;
	long woken = futex_wake(a1, n1, ~0u);
	if (also)
		woken += futex_wake(a2, n2, ~0u);
	return woken;
}
