/* futex_bitset.c: FUTEX_WAKE_BITSET wakes only those whose mask meets its own; plain WAKE wakes all. */
#include "futex.h"

#define N 8

static uint32_t word;
static int woken[N], total;

static void *waits(void *arg)
{
    int me = (int)(intptr_t)arg;
    while (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1u << me) != 0)
        CHECK(errno == EINTR);
    __atomic_store_n(&woken[me], 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void wake_mask(uint32_t mask, int n)
{
    while (n > 0) {
        long count = futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, mask);
        CHECK(count >= 0 && count <= n);
        n -= (int)count;
        sched_yield();
    }
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(waits, (void *)i);
    wake_mask(1u << 3, 1);
    join(threads[3]);
    CHECK(total == 1 && woken[3]);
    CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 1u << 3 | 1u << 20) == 0);

    wake_mask(1u << 0 | 1u << 7, 2);
    join(threads[0]);
    join(threads[7]);
    CHECK(total == 3 && woken[0] && woken[7]);

    wake_exactly(&word, FUTEX_WAKE_PRIVATE, N - 3);
    for (int i = 0; i < N; i++)
        if (i != 0 && i != 3 && i != 7)
            join(threads[i]);
    printf("woken by mask: %d\n", total);
    return 0;
}
