/* futex_counts.c: how many FUTEX_WAKE and FUTEX_WAKE_OP wake when told odd numbers (the kernel counts after it has woken one), what
 * is no argument of FUTEX_TRYLOCK_PI, and addresses that are nowhere.
 */
#include "futex.h"

#define WAITERS 6
#define NOWHERE ((const void *)64)

static uint32_t first, second, entered, woken;

static void *waits(void *arg)
{
    uint32_t *word = arg;
    struct timespec when = deadline(CLOCK_MONOTONIC, 30000);
    __atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST);
    CHECK(futex(word, FUTEX_WAIT_BITSET_PRIVATE, 0, &when, NULL, FUTEX_BITSET_MATCH_ANY) == 0 || errno == EAGAIN);
    __atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Half of the threads wait for each word, and that many the operation finds. */
static void wakes(int op, uint32_t n1, uint32_t n2, long want)
{
    pthread_t t[WAITERS];
    entered = woken = first = second = 0;
    for (int i = 0; i < WAITERS; i++)
        t[i] = start(waits, i % 2 ? &second : &first);
    while (__atomic_load_n(&entered, __ATOMIC_SEQ_CST) < WAITERS)
        sleep_ms(1);
    sleep_ms(30);
    long ret = futex2(&first, op, n1, n2, &second, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0));
    CHECK(ret == want);
    while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) < (uint32_t)want)
        sleep_ms(1);
    first = second = 1;
    futex(&first, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    futex(&second, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    for (int i = 0; i < WAITERS; i++)
        join(t[i]);
}

int main(void)
{
    wakes(FUTEX_WAKE_PRIVATE, 0, 0, 1);
    wakes(FUTEX_WAKE_PRIVATE, (uint32_t)-1, 0, 1);
    wakes(FUTEX_WAKE_PRIVATE, 2, 0, 2);
    wakes(FUTEX_WAKE_OP_PRIVATE, 0, 0, 2);
    wakes(FUTEX_WAKE_OP_PRIVATE, (uint32_t)-1, (uint32_t)-1, 2);
    wakes(FUTEX_WAKE_OP_PRIVATE, 2, 0, 3);
    wakes(FUTEX_WAKE_OP_PRIVATE, INT_MAX, INT_MAX, WAITERS);
    uint32_t lock = 0;
    CHECK(futex2(&lock, FUTEX_TRYLOCK_PI_PRIVATE, 0, 64, NULL, 0) == 0);
    CHECK(futex2(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, 64, NULL, 0) == 0 && lock == 0);
    CHECK_ERRNO(futex(NOWHERE, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
    puts("counted as in the kernel");
    return 0;
}
