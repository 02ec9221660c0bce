/* sleep.c: every kind of sleep lasts at least as long as asked, on its own clock, and not absurdly longer. */
#include "check.h"

#define N 40

static void check_slept(int64_t asked, int64_t slept)
{
    CHECK(slept >= asked);
    CHECK(slept < asked + 30 * NSEC_PER_SEC);
}

static void relative(clockid_t clock, int64_t ns)
{
    struct timespec ts = timespec_of(ns);
    int64_t before = now_ns(clock);
    CHECK0(clock_nanosleep(clock, 0, &ts, NULL));
    check_slept(ns, now_ns(clock) - before);
}

static void absolute(clockid_t clock, int64_t ns)
{
    int64_t before = now_ns(clock);
    struct timespec ts = timespec_of(before + ns);
    CHECK0(clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL));
    check_slept(ns, now_ns(clock) - before);
}

static void *sleeper(void *arg)
{
    int64_t ns = (int64_t)(intptr_t)arg * 500000;
    struct timespec ts = timespec_of(ns);
    int64_t before = now_ns(CLOCK_MONOTONIC);
    CHECK(nanosleep(&ts, NULL) == 0);
    check_slept(ns, now_ns(CLOCK_MONOTONIC) - before);

    relative(CLOCK_REALTIME, ns);
    relative(CLOCK_MONOTONIC, ns);
    relative(CLOCK_BOOTTIME, ns);
    absolute(CLOCK_REALTIME, ns);
    absolute(CLOCK_MONOTONIC, ns);
    absolute(CLOCK_TAI, ns);

    before = now_ns(CLOCK_MONOTONIC);
    CHECK(usleep((useconds_t)(ns / 1000)) == 0);
    check_slept(ns, now_ns(CLOCK_MONOTONIC) - before);
    return NULL;
}

static void *answers(void *arg)
{
    (void)arg;
    struct timespec bad = {0, NSEC_PER_SEC}, negative = {-1, 0}, past = {1, 0}, zero = {0, 0};
    CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
    CHECK_ERRNO(nanosleep(&negative, NULL), EINVAL);
    CHECK_ERRNO(nanosleep((struct timespec *)8, NULL), EFAULT);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL) == EINVAL);
    CHECK(clock_nanosleep(999, 0, &zero, NULL) == EINVAL);
    CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &zero, NULL) == EINVAL);
    CHECK0(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL));
    CHECK0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL));
    CHECK(nanosleep(&zero, NULL) == 0);
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(sleeper, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("slept");
    join(start(answers, NULL));
    answers(NULL);
    puts("answered");
    return 0;
}
