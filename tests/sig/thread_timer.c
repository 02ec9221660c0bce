/* thread_timer.c: a timer of a thread's own CPU time, as profilers make them: it expires while that thread computes, not while
 * others do. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static atomic_int hits, strange, stop;
static _Thread_local int mine;

static void on_tick(int sig)
{
    (void)sig;
    hits++;
    if (!mine)
        strange++;
}

static void burn(clockid_t clock, int64_t ns)
{
    int64_t begin = now_ns(clock);
    while (now_ns(clock) - begin < ns)
        ;
}

static void *others(void *arg)
{
    while (!stop)
        burn(CLOCK_THREAD_CPUTIME_ID, 1000000);
    return arg;
}

static void *measured(void *arg)
{
    struct itimerspec tick = {{0, 10000000}, {0, 10000000}}, off = {{0, 0}, {0, 0}};
    struct sigevent ev;
    timer_t t;
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_THREAD_ID;
    ev.sigev_signo = SIGRTMIN;
    ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    mine = 1;
    CHECK(timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &tick, NULL) == 0);
    sleep_ms(300);
    printf("asleep: %s\n", hits < 5 ? "none" : "some");
    hits = 0;
    int64_t begin = now_ns(CLOCK_THREAD_CPUTIME_ID), end = now_ns(CLOCK_MONOTONIC) + 60 * NSEC_PER_SEC;
    while (hits < 10 && now_ns(CLOCK_MONOTONIC) < end)
        burn(CLOCK_THREAD_CPUTIME_ID, 1000000);
    int64_t ticks = (now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / 10000000;
    CHECK(timer_settime(t, 0, &off, NULL) == 0);
    printf("computing: %s, for others: %d\n", hits >= 10 && hits <= ticks + 2 ? "one for each tick" : "wrong", strange);
    CHECK(timer_delete(t) == 0);
    return arg;
}

int main(void)
{
    signal(SIGRTMIN, on_tick);
    pthread_t o = start(others, NULL);
    join(start(measured, NULL));
    stop = 1;
    join(o);
    return 0;
}
