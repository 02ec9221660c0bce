/* sleep_cpu.c: clock_nanosleep on the CPU clocks of threads and of the process. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#define MS NSEC_PER_MSEC

static atomic_int stop, done, ready;
static atomic_int nalarms;
static pthread_t sleeper;

static void handler(int sig)
{
    nalarms += sig == SIGALRM;
}

static void *computes(void *arg)
{
    volatile unsigned long x = 0;
    while (!stop)
        x++;
    return arg;
}

static void *waits(void *arg)
{
    while (!stop)
        usleep(5000);
    return arg;
}

static int64_t ns_of(struct timespec ts)
{
    return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static void sleeps(const char *name, clockid_t clock)
{
    int64_t begin = now_ns(clock);
    struct timespec ts = timespec_of(20 * MS);
    CHECK0(clock_nanosleep(clock, 0, &ts, NULL));
    int64_t used = now_ns(clock) - begin;
    begin = now_ns(clock);
    ts = timespec_of(begin + 20 * MS);
    CHECK0(clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL));
    printf("%s: %d %d\n", name, used >= 20 * MS, now_ns(clock) >= begin + 20 * MS);
    ts = timespec_of(1);
    CHECK0(clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL));
    ts.tv_nsec = -1;
    CHECK(clock_nanosleep(clock, 0, &ts, NULL) == EINVAL);
}

/* Of a thread that hardly uses any. */
static void *interrupted(void *arg)
{
    struct timespec ts = timespec_of(100 * NSEC_PER_SEC), rem = {0, 0};
    ready = 1;
    int err = clock_nanosleep(*(clockid_t *)arg, 0, &ts, &rem);
    int left = ns_of(rem) > 50 * NSEC_PER_SEC && ns_of(rem) <= 100 * NSEC_PER_SEC;
    printf("interrupted: %s, %s is left\n", err == EINTR ? "EINTR" : "?", left ? "the most" : "too little");
    done = 1;
    return arg;
}

static void interrupt(clockid_t clock)
{
    ready = done = 0;
    sleeper = start(interrupted, &clock);
    while (!ready)
        usleep(1000);
    usleep(20000);
    while (!done) {
        pthread_kill(sleeper, SIGUSR1);
        usleep(1000);
    }
    join(sleeper);
}

static void *sleeps_long(void *arg)
{
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    CHECK0(pthread_sigmask(SIG_BLOCK, &alarms, NULL));
    sleeps("process, signals beside it", CLOCK_PROCESS_CPUTIME_ID);
    done = 1;
    return arg;
}

/* Signals for other threads do not make it begin anew. */
static void signals_beside(void)
{
    struct itimerval often = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}};
    done = 0;
    sleeper = start(sleeps_long, NULL);
    CHECK0(setitimer(ITIMER_REAL, &often, NULL));
    while (!done)
        usleep(1000);
    CHECK0(setitimer(ITIMER_REAL, &off, NULL));
    join(sleeper);
}

static void *own_clock(void *arg)
{
    clockid_t mine;
    struct timespec ts = timespec_of(20 * MS);
    CHECK0(pthread_getcpuclockid(pthread_self(), &mine));
    CHECK(clock_nanosleep(mine, 0, &ts, NULL) == EINVAL);
    CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL) == EINVAL);
    return arg;
}

int main(void)
{
    clockid_t busy, idle, all;
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    CHECK0(sigaction(SIGUSR1, &sa, NULL));
    CHECK0(sigaction(SIGALRM, &sa, NULL));
    pthread_t b = start(computes, NULL), i = start(waits, NULL);
    CHECK0(pthread_getcpuclockid(b, &busy));
    CHECK0(pthread_getcpuclockid(i, &idle));
    CHECK0(clock_getcpuclockid(getpid(), &all));
    sleeps("thread", busy);
    sleeps("process", CLOCK_PROCESS_CPUTIME_ID);
    sleeps("process by its id", all);
    interrupt(idle);
    interrupt(all);
    signals_beside();
    own_clock(NULL);
    join(start(own_clock, NULL));
    stop = 1;
    join(b);
    join(i);
    return 0;
}
