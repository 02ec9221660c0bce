/* futex_waitv.c: futex_waitv sleeps on several words at once and says which one woke it, also if some are private and some are in
 * shared memory. */
#include "futex.h"
#include <sys/mman.h>

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

static uint32_t *shared_word;

static void *waits_for_both(void *arg)
{
    struct timespec when = deadline(CLOCK_MONOTONIC, 30000);
    struct futex_waitv waiters[2];
    memset(waiters, 0, sizeof waiters);
    waiters[0].uaddr = (uintptr_t)&words[0];
    waiters[0].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
    waiters[1].uaddr = (uintptr_t)shared_word;
    waiters[1].flags = FUTEX_32;
    (void)arg;
    return (void *)(intptr_t)syscall(SYS_futex_waitv, waiters, 2, 0, &when, CLOCK_MONOTONIC);
}

static void *waits_for_one(void *arg)
{
    struct timespec when = deadline(CLOCK_MONOTONIC, 30000);
    CHECK(futex(&words[1], FUTEX_WAIT_BITSET_PRIVATE, 0, &when, NULL, FUTEX_BITSET_MATCH_ANY) == 0);
    return arg;
}

static void private_and_shared(void)
{
    shared_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_word != MAP_FAILED);
    pthread_t before = start(waits_for_one, NULL);
    sleep_ms(10);
    pthread_t thread = start(waits_for_both, NULL);
    wake_exactly(&words[0], FUTEX_WAKE_PRIVATE, 1);
    CHECK((int)(intptr_t)join(thread) == 0);
    thread = start(waits_for_both, NULL);
    wake_exactly(shared_word, FUTEX_WAKE, 1);
    CHECK((int)(intptr_t)join(thread) == 1);
    wake_exactly(&words[1], FUTEX_WAKE_PRIVATE, 1);
    join(before);
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
    private_and_shared();
    puts("each of four words woke");
    return 0;
}
