/* futex_requeue.c: FUTEX_REQUEUE, CMP_REQUEUE and WAKE_OP: counts, moved waiters, and the operations of WAKE_OP. */
#include "futex.h"

#define N 10

static uint32_t from, to;
static int returned;

static void *waits_on_from(void *arg)
{
    (void)arg;
    while (futex(&from, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) != 0)
        CHECK(errno == EINTR);
    __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *waits_on(void *arg)
{
    while (futex(arg, FUTEX_WAIT_PRIVATE, *(uint32_t *)arg, NULL, NULL, 0) != 0)
        CHECK(errno == EINTR);
    return NULL;
}

static void *waits_timed(void *arg)
{
    struct timespec timeout = {0, 100 * NSEC_PER_MSEC};
    (void)arg;
    CHECK_ERRNO(futex(&from, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0), ETIMEDOUT);
    return NULL;
}

/*
 * Moves `n` in all. The kernel may let a waiter queue itself anew where it began, when a wake-up that was meant for an
 * earlier wait of its thread comes late; move_strays puts such waiters where they were.
 */
static void move(int op, int n)
{
    while (n > 0) {
        long moved = futex2(&from, op, 0, (uintptr_t)n, &to, 0);
        CHECK(moved >= 0 && moved <= n);
        n -= (int)moved;
        sched_yield();
    }
}

static void move_strays(int op)
{
    sleep_ms(5);
    CHECK(futex2(&from, op, 0, INT_MAX, &to, 0) >= 0);
}

static void requeue(int op)
{
    pthread_t threads[N];
    returned = 0;
    for (int i = 0; i < N; i++)
        threads[i] = start(waits_on_from, NULL);
    move(op, N);
    move_strays(op);
    CHECK(__atomic_load_n(&returned, __ATOMIC_SEQ_CST) == 0);
    CHECK(futex(&from, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 0);
    CHECK(futex(&to, FUTEX_WAKE_PRIVATE, 3, NULL, NULL, 0) == 3);
    /* Of the seven that are left on `to`, one wakes and two go back to `from`. */
    CHECK(futex2(&to, FUTEX_CMP_REQUEUE_PRIVATE, 1, 2, &from, 0) == 3);
    CHECK(futex(&from, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 2);
    CHECK(futex(&to, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 4);
    for (int i = 0; i < N; i++)
        join(threads[i]);

    /* A timeout finds its waiter on the queue it was moved to. */
    pthread_t timed = start(waits_timed, NULL);
    for (int i = 0; i < 50 && futex2(&from, op, 0, 1, &to, 0) == 0; i++)
        sleep_ms(1);
    join(timed);
    CHECK(futex(&to, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) == 0);
    CHECK_ERRNO(futex2(&from, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &to, 5), EAGAIN);
}

/* One waiter on each word; WAKE_OP changes `to` and wakes there only if the old value compares. */
static void wake_op(int op, uint32_t oparg, int cmp, uint32_t cmparg, uint32_t before, uint32_t after, int wakes_to)
{
    from = 0;
    to = before;
    pthread_t first = start(waits_on, &from), second = start(waits_on, &to);
    /* Both are known to wait when a requeue to the same word has found them. */
    while (futex2(&from, FUTEX_REQUEUE_PRIVATE, 0, 1, &from, 0) == 0)
        sched_yield();
    while (futex2(&to, FUTEX_REQUEUE_PRIVATE, 0, 1, &to, 0) == 0)
        sched_yield();
    sleep_ms(5); /* and no late wake-up takes them away for a moment */
    CHECK(futex2(&from, FUTEX_WAKE_OP_PRIVATE, 1, 1, &to, FUTEX_OP(op, oparg, cmp, cmparg)) == 1 + wakes_to);
    CHECK(to == after);
    CHECK(futex(&to, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1 - wakes_to);
    join(first);
    join(second);
}

int main(void)
{
    requeue(FUTEX_REQUEUE_PRIVATE);
    requeue(FUTEX_CMP_REQUEUE_PRIVATE);
    puts("requeued");
    wake_op(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 0, 0, 5, 1);
    wake_op(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 1, 0, 5, 0);
    wake_op(FUTEX_OP_ADD, 2, FUTEX_OP_CMP_GT, 6, 7, 9, 1);
    wake_op(FUTEX_OP_OR, 6, FUTEX_OP_CMP_LE, 1, 1, 7, 1);
    wake_op(FUTEX_OP_ANDN, 3, FUTEX_OP_CMP_NE, 7, 7, 4, 0);
    wake_op(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_LT, 9, 8, 9, 1);
    wake_op(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GE, 2, 1, 17, 0);
    CHECK_ERRNO(futex2(&from, FUTEX_WAKE_OP_PRIVATE, 1, 1, (void *)64, FUTEX_OP(0, 0, 0, 0)), EFAULT);
    puts("woken by operation");
    return 0;
}
