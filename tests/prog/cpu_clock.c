/* cpu_clock.c: the CPU clock of another thread can be read and has a resolution; that of a dead one cannot. */
#include "check.h"
#include <stdatomic.h>

#define THREADS 200

static atomic_int stop;
static pthread_barrier_t barrier;

static void *compute(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier);
    while (!stop)
        ;
    return NULL;
}

static void *wait_here(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    clockid_t clock, other[THREADS];
    pthread_t t[THREADS];
    struct timespec ts;
    CHECK0(pthread_barrier_init(&barrier, NULL, 2));
    pthread_t busy = start(compute, NULL);
    CHECK0(pthread_getcpuclockid(busy, &clock));
    pthread_barrier_wait(&barrier);
    CHECK(clock_getres(clock, NULL) == 0);
    CHECK(clock_getres(clock, &ts) == 0 && ts.tv_sec == 0 && ts.tv_nsec == 1);
    CHECK(clock_getres(CLOCK_THREAD_CPUTIME_ID, &ts) == 0 && ts.tv_sec == 0 && ts.tv_nsec == 1);
    int64_t before = now_ns(clock);
    for (int i = 0; i < 1000 && now_ns(clock) - before < 5 * NSEC_PER_MSEC; i++)
        sleep_ms(5);
    CHECK(now_ns(clock) - before >= 5 * NSEC_PER_MSEC);
    stop = 1;
    join(busy);
    /* A kernel thread that has been joined is gone a little later. */
    for (int i = 0; i < 1000 && clock_gettime(clock, &ts) == 0; i++)
        sleep_ms(1);
    CHECK_ERRNO(clock_gettime(clock, &ts), EINVAL);
    CHECK_ERRNO(clock_getres(clock, &ts), EINVAL);
    /* Each thread has a clock of its own, however many came before it. */
    for (int i = 0; i < 500; i++)
        join(start(nothing, NULL));
    pthread_barrier_destroy(&barrier);
    CHECK0(pthread_barrier_init(&barrier, NULL, THREADS + 1));
    for (int i = 0; i < THREADS; i++)
        t[i] = start(wait_here, NULL);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) {
        CHECK0(pthread_getcpuclockid(t[i], &other[i]));
        CHECK(clock_gettime(other[i], &ts) == 0);
        for (int k = 0; k < i; k++)
            CHECK(other[k] != other[i]);
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
    puts("every thread has its clock");
    return 0;
}
