/* futex2_calls.c: futex_wait, futex_wake and futex_requeue, which Linux 6.7 has, beside futex(2), on private and on shared words. */
#include "futex.h"
#include <sys/mman.h>

enum { NR_WAKE = 454, NR_WAIT = 455, NR_REQUEUE = 456, U32 = 2, PRIVATE = FUTEX_PRIVATE_FLAG, WAITERS = 4, SHARED = 1 };

static uint32_t private_words[2], *words;
static unsigned flags;

static long wait2(const void *addr, uint64_t value, uint64_t mask, unsigned how, const struct timespec *until, int clock)
{
    return syscall(NR_WAIT, addr, value, mask, how, until, clock);
}

static long wake2(const void *addr, uint64_t mask, int n)
{
    return syscall(NR_WAKE, addr, mask, n, flags);
}

static long requeue2(uint64_t value, int wake, int move)
{
    struct futex_waitv v[2] = { { .uaddr = (uintptr_t)&words[0], .val = value, .flags = flags },
                                { .uaddr = (uintptr_t)&words[1], .flags = flags } };
    return syscall(NR_REQUEUE, v, 0, wake, move);
}

static int old_op(int op)
{
    return flags & PRIVATE ? op | FUTEX_PRIVATE_FLAG : op;
}

static void *waits(void *arg)
{
    struct timespec until = deadline(CLOCK_REALTIME, 30000);
    CHECK(wait2(&words[0], 0, 1u << (intptr_t)arg, flags, &until, CLOCK_REALTIME) == 0);
    return arg;
}

static void *waits_as_before(void *arg)
{
    CHECK(futex(&words[0], old_op(FUTEX_WAIT), 0, NULL, NULL, 0) == 0);
    return arg;
}

/* Until all wait there. */
static void wake_all(uint64_t mask, int n)
{
    while (n > 0) {
        long woken = wake2(&words[0], mask, n);
        CHECK(woken >= 0 && woken <= n);
        n -= (int)woken;
        usleep(100);
    }
}

static void pairs(void)
{
    pthread_t t[WAITERS];
    for (intptr_t i = 0; i < WAITERS; i++)
        t[i] = start(waits, (void *)i);
    for (int i = WAITERS - 1; i >= 0; i--) {
        wake_all(1u << i, 1);
        join(t[i]);
    }
    t[0] = start(waits, NULL);
    wake_exactly(&words[0], old_op(FUTEX_WAKE), 1);
    t[1] = start(waits_as_before, NULL);
    wake_all(FUTEX_BITSET_MATCH_ANY, 1);
    join(t[0]);
    join(t[1]);
}

static void moves(void)
{
    pthread_t t[WAITERS];
    long moved = 0;
    for (int i = 0; i < WAITERS; i++)
        t[i] = start(i % 2 ? waits : waits_as_before, NULL);
    CHECK_ERRNO(requeue2(1, 0, WAITERS), EAGAIN);
    CHECK_ERRNO(requeue2(0, -1, WAITERS), EINVAL);
    while (moved < WAITERS) {
        long n = requeue2(0, 0, WAITERS);
        CHECK(n >= 0);
        moved += n;
        usleep(100);
    }
    CHECK(wake2(&words[0], FUTEX_BITSET_MATCH_ANY, WAITERS) == 0);
    CHECK(wake2(&words[1], FUTEX_BITSET_MATCH_ANY, 0) == 0);
    CHECK(wake2(&words[1], FUTEX_BITSET_MATCH_ANY, WAITERS) == WAITERS);
    for (int i = 0; i < WAITERS; i++)
        join(t[i]);
}

static void refused(void)
{
    struct timespec until = deadline(CLOCK_MONOTONIC, 20), wrong = { 0, -1 };
    CHECK_ERRNO(wait2(&words[0], 0, 1, flags, &until, CLOCK_MONOTONIC), ETIMEDOUT);
    CHECK(now_ns(CLOCK_MONOTONIC) >= until.tv_sec * NSEC_PER_SEC + until.tv_nsec);
    CHECK_ERRNO(wait2(&words[0], 1, 1, flags, NULL, 0), EAGAIN);
    CHECK_ERRNO(wait2(&words[0], 0, 0, flags, NULL, 0), EINVAL);
    CHECK_ERRNO(wait2(&words[0], 1ULL << 32, 1, flags, NULL, 0), EINVAL);
    CHECK_ERRNO(wait2(&words[0], 0, 1, 0, NULL, 0), EINVAL);
    CHECK_ERRNO(wait2((char *)&words[0] + 1, 0, 1, flags, NULL, 0), EINVAL);
    CHECK_ERRNO(wait2(&words[0], 0, 1, flags, &wrong, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(wait2(&words[0], 0, 1, flags, &until, CLOCK_BOOTTIME), EINVAL);
    CHECK_ERRNO(wait2(&words[0], 0, 1, flags, (void *)64, CLOCK_MONOTONIC), EFAULT);
    CHECK_ERRNO(wake2(&words[0], 0, 1), EINVAL);
    CHECK_ERRNO(wake2(&words[0], 1ULL << 40, 1), EINVAL);
    CHECK_ERRNO(syscall(NR_REQUEUE, NULL, 0, 1, 1), EINVAL);
    CHECK_ERRNO(syscall(NR_REQUEUE, (void *)64, 0, 1, 1), EFAULT);
}

int main(void)
{
    words = private_words;
    flags = U32 | PRIVATE;
    if (wake2(&words[0], 1, 1) == -1 && errno == ENOSYS)
        return 0;
    for (int kind = 0; kind <= SHARED; kind++) {
        if (kind == SHARED) {
            flags = U32;
            words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            CHECK(words != MAP_FAILED);
        }
        pairs();
        moves();
        refused();
    }
    return 0;
}
