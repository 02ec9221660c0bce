/* sleep_order.c: threads that sleep for different times wake in the order of their times. */
#include "check.h"

#define N 10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t base;
static int order[N], woken;

/* The times lie 25 ms apart. On a loaded machine a late sleeper tells by the clock that it was late, and is left out. */
static void *sleeper(void *arg)
{
    int me = (int)(intptr_t)arg;
    int64_t when = base + (me * 7 % N) * 25 * NSEC_PER_MSEC;
    struct timespec ts = timespec_of(when);
    CHECK0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
    pthread_mutex_lock(&lock);
    int64_t now = now_ns(CLOCK_MONOTONIC);
    CHECK(now >= when);
    if (now - when < 25 * NSEC_PER_MSEC)
        order[woken++] = me * 7 % N;
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    base = now_ns(CLOCK_MONOTONIC) + 50 * NSEC_PER_MSEC;
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(sleeper, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    for (int i = 1; i < woken; i++)
        CHECK(order[i - 1] < order[i]);
    puts("in order");
    return 0;
}
