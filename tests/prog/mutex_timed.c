/* mutex_timed.c: timed locks on both clocks time out not early, and succeed when the owner leaves in time. */
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int lock_until(clockid_t clock, const struct timespec *when)
{
    return clock == CLOCK_REALTIME ? pthread_mutex_timedlock(&mutex, when)
                                   : pthread_mutex_clocklock(&mutex, clock, when);
}

/* The owner is main, which keeps the lock. */
static void *times_out(void *arg)
{
    clockid_t clock = *(clockid_t *)arg;
    struct timespec when = deadline(clock, 30);
    CHECK(lock_until(clock, &when) == ETIMEDOUT);
    int64_t late = now_ns(clock) - (when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    CHECK(late >= 0);
    CHECK(late < 30 * NSEC_PER_SEC);

    struct timespec past = timespec_of(now_ns(clock) - NSEC_PER_SEC);
    CHECK(lock_until(clock, &past) == ETIMEDOUT);
    struct timespec invalid = {when.tv_sec, NSEC_PER_SEC};
    CHECK(lock_until(clock, &invalid) == EINVAL);
    return NULL;
}

static void *gets_it(void *arg)
{
    clockid_t clock = *(clockid_t *)arg;
    struct timespec when = deadline(clock, 60000);
    CHECK0(lock_until(clock, &when));
    CHECK0(pthread_mutex_unlock(&mutex));
    return NULL;
}

int main(void)
{
    static clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    pthread_t threads[20];

    CHECK0(pthread_mutex_lock(&mutex));
    for (int i = 0; i < 20; i++)
        threads[i] = start(times_out, &clocks[i % 2]);
    for (int i = 0; i < 20; i++)
        join(threads[i]);
    puts("all timed out");

    for (int i = 0; i < 20; i++)
        threads[i] = start(gets_it, &clocks[i % 2]);
    sleep_ms(5);
    CHECK0(pthread_mutex_unlock(&mutex));
    for (int i = 0; i < 20; i++)
        join(threads[i]);
    puts("all got it");

    /* A free mutex is given without a look at the clock. */
    struct timespec past = {1, 0};
    CHECK0(pthread_mutex_timedlock(&mutex, &past));
    CHECK0(pthread_mutex_unlock(&mutex));
    return 0;
}
