/* futex_wait.c: FUTEX_WAIT and FUTEX_WAKE, private and not: the value is compared, wakes are counted, times are kept. */
#include "futex.h"

#define N 16

static uint32_t word;
static int op_flags;

static void *waits(void *arg)
{
    (void)arg;
    long result;
    while ((result = futex(&word, FUTEX_WAIT | op_flags, 0, NULL, NULL, 0)) != 0)
        CHECK(errno == EINTR);
    return NULL;
}

static void wakes(void)
{
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(waits, NULL);
    for (int i = 0; i < N; i++)
        wake_exactly(&word, FUTEX_WAKE | op_flags, 1);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(futex(&word, FUTEX_WAKE | op_flags, INT_MAX, NULL, NULL, 0) == 0);

    for (int i = 0; i < N; i++)
        threads[i] = start(waits, NULL);
    wake_exactly(&word, FUTEX_WAKE | op_flags, N);
    for (int i = 0; i < N; i++)
        join(threads[i]);
}

static void *timed(void *arg)
{
    int64_t ns = (int64_t)(intptr_t)arg * NSEC_PER_MSEC;
    struct timespec timeout = timespec_of(ns);
    int64_t before = now_ns(CLOCK_MONOTONIC);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT | op_flags, 0, &timeout, NULL, 0), ETIMEDOUT);
    CHECK(now_ns(CLOCK_MONOTONIC) - before >= ns);

    /* FUTEX_WAIT_BITSET takes an absolute time, on one clock or the other. */
    for (int real = 0; real < 2; real++) {
        clockid_t clock = real ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        int op = FUTEX_WAIT_BITSET | op_flags | (real ? FUTEX_CLOCK_REALTIME : 0);
        timeout = deadline(clock, (intptr_t)arg);
        CHECK_ERRNO(futex(&word, op, 0, &timeout, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
        CHECK(now_ns(clock) >= timeout.tv_sec * NSEC_PER_SEC + timeout.tv_nsec);
    }
    return NULL;
}

static void timeouts(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(timed, (void *)(i + 1));
    for (int i = 0; i < N; i++)
        join(threads[i]);
}

static void *answers(void *arg)
{
    (void)arg;
    struct timespec zero = {0, 0}, bad = {0, -1}, past = {1, 0};
    CHECK_ERRNO(futex(&word, FUTEX_WAIT | op_flags, 1, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT | op_flags, 1, &zero, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT | op_flags, 0, &zero, NULL, 0), ETIMEDOUT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT | op_flags, 0, &bad, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | op_flags, 0, &past, NULL, ~0u), ETIMEDOUT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | op_flags, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, FUTEX_WAKE_BITSET | op_flags, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((char *)&word + 1, FUTEX_WAIT | op_flags, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((char *)&word + 1, FUTEX_WAKE | op_flags, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((void *)64, FUTEX_WAIT | op_flags, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT | op_flags, 0, (struct timespec *)64, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&word, 100 | op_flags, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex((char *)&word + 1, 100 | op_flags, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex((char *)&word + 1, FUTEX_FD | op_flags, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex((char *)&word + 1, FUTEX_WAKE | FUTEX_CLOCK_REALTIME | op_flags, 1, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex((char *)&word + 1, FUTEX_WAIT | FUTEX_CLOCK_REALTIME | op_flags, 0, NULL, NULL, 0), ENOSYS);
    return NULL;
}

int main(void)
{
    for (int i = 0; i < 2; i++) {
        op_flags = i ? 0 : FUTEX_PRIVATE_FLAG;
        wakes();
        timeouts();
        join(start(answers, NULL));
        printf("%s: woken, timed out, refused\n", i ? "shared" : "private");
    }
    return 0;
}
