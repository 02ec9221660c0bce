/* futex_waitv.c: futex_waitv sleeps on several words at once and says which one woke it. */
#include "futex.h"

#define WORDS 4

static uint32_t words[WORDS];

static long wait_any(const struct timespec *when, uint32_t value_of_last)
{
    struct futex_waitv waiters[WORDS];
    memset(waiters, 0, sizeof waiters);
    for (int i = 0; i < WORDS; i++) {
        waiters[i].uaddr = (uintptr_t)&words[i];
        waiters[i].val = i == WORDS - 1 ? value_of_last : 0;
        waiters[i].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
    }
    return syscall(SYS_futex_waitv, waiters, WORDS, 0, when, CLOCK_MONOTONIC);
}

static void *waits(void *arg)
{
    struct timespec when = deadline(CLOCK_MONOTONIC, 30000);
    (void)arg;
    return (void *)(intptr_t)wait_any(&when, 0);
}

int main(void)
{
    for (int i = 0; i < WORDS; i++) {
        pthread_t thread = start(waits, NULL);
        wake_exactly(&words[i], FUTEX_WAKE_PRIVATE, 1);
        CHECK((int)(intptr_t)join(thread) == i);
        for (int j = 0; j < WORDS; j++)
            CHECK(futex(&words[j], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
    }
    struct timespec when = deadline(CLOCK_MONOTONIC, 20);
    CHECK_ERRNO(wait_any(&when, 0), ETIMEDOUT);
    CHECK(now_ns(CLOCK_MONOTONIC) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    CHECK_ERRNO(wait_any(&when, 1), EAGAIN);
    puts("each of four words woke");
    return 0;
}
