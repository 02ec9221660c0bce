/* cond_timed.c: timed waits on CLOCK_REALTIME and CLOCK_MONOTONIC: not early, and a signal before the time counts. */
#include "check.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t conds[2];
static const clockid_t clocks[2] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
static int ready;

static void *times_out(void *arg)
{
    int which = (int)(intptr_t)arg % 2;
    int ms = 5 + (int)(intptr_t)arg;
    struct timespec when = deadline(clocks[which], ms);
    CHECK0(pthread_mutex_lock(&lock));
    int err;
    while ((err = pthread_cond_timedwait(&conds[which], &lock, &when)) == 0)
        ;
    CHECK0(pthread_mutex_unlock(&lock));
    CHECK(err == ETIMEDOUT);
    int64_t late = now_ns(clocks[which]) - (when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    CHECK(late >= 0);
    CHECK(late < 30 * NSEC_PER_SEC);
    return NULL;
}

/* Waits on a condition variable of one clock with the other one. */
static void *other_clock(void *arg)
{
    (void)arg;
    struct timespec when = deadline(CLOCK_MONOTONIC, 10);
    CHECK0(pthread_mutex_lock(&lock));
    int err;
    while ((err = pthread_cond_clockwait(&conds[0], &lock, CLOCK_MONOTONIC, &when)) == 0)
        ;
    CHECK0(pthread_mutex_unlock(&lock));
    CHECK(err == ETIMEDOUT);
    CHECK(now_ns(CLOCK_MONOTONIC) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    return NULL;
}

static void *is_signalled(void *arg)
{
    int which = (int)(intptr_t)arg % 2;
    struct timespec when = deadline(clocks[which], 60000);
    CHECK0(pthread_mutex_lock(&lock));
    while (!ready)
        CHECK0(pthread_cond_timedwait(&conds[which], &lock, &when));
    CHECK0(pthread_mutex_unlock(&lock));
    return NULL;
}

int main(void)
{
    pthread_t threads[40];
    pthread_condattr_t attr;
    for (int i = 0; i < 2; i++) {
        CHECK0(pthread_condattr_init(&attr));
        CHECK0(pthread_condattr_setclock(&attr, clocks[i]));
        CHECK0(pthread_cond_init(&conds[i], &attr));
    }
    for (intptr_t i = 0; i < 40; i++)
        threads[i] = start(times_out, (void *)i);
    for (int i = 0; i < 40; i++)
        join(threads[i]);
    join(start(other_clock, NULL));
    puts("timed out, none early");

    for (intptr_t i = 0; i < 40; i++)
        threads[i] = start(is_signalled, (void *)i);
    sleep_ms(5);
    CHECK0(pthread_mutex_lock(&lock));
    ready = 1;
    CHECK0(pthread_mutex_unlock(&lock));
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_cond_broadcast(&conds[i]));
    for (int i = 0; i < 40; i++)
        join(threads[i]);
    puts("signalled in time");
    return 0;
}
