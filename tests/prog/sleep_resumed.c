/* sleep_resumed.c: a sleep that a signal might have ended, but that somebody else has dealt with, goes on with what is left
 * of it: it does not begin anew, or it would never end while signals come.
 */
#include "check.h"
#include <poll.h>
#include <signal.h>

#define LENGTH_MS 200
#define STORM_MS 8000

static _Atomic int done;

static void handler(int sig)
{
    (void)sig;
}

/* For whom a signal of the process is meant, it is told; then nobody wants the signal any more. */
static void *storm(void *arg)
{
    int64_t end = now_ns(CLOCK_MONOTONIC) + STORM_MS * NSEC_PER_MSEC;
    while (!done && now_ns(CLOCK_MONOTONIC) < end) {
        signal(SIGUSR1, handler);
        CHECK(kill(getpid(), SIGUSR1) == 0);
        signal(SIGUSR1, SIG_IGN);
        usleep(10000);
    }
    return arg;
}

static int by_nanosleep(void)
{
    struct timespec t = {0, LENGTH_MS * NSEC_PER_MSEC};
    return nanosleep(&t, NULL);
}

static int by_poll(void)
{
    return poll(NULL, 0, LENGTH_MS);
}

static int by_condition(void)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += LENGTH_MS * NSEC_PER_MSEC;
    t.tv_sec += t.tv_nsec / NSEC_PER_SEC;
    t.tv_nsec %= NSEC_PER_SEC;
    pthread_mutex_lock(&m);
    int r = pthread_cond_timedwait(&c, &m, &t);
    pthread_mutex_unlock(&m);
    return r == ETIMEDOUT ? 0 : -1;
}

static void sleeps(int (*fn)(void), const char *name)
{
    done = 0;
    pthread_t t = start(storm, NULL);
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    int r = fn();
    int64_t ms = (now_ns(CLOCK_MONOTONIC) - begin) / NSEC_PER_MSEC;
    CHECK(r == 0 || errno == EINTR);
    CHECK(ms < STORM_MS / 2);
    done = 1;
    join(t);
    puts(name);
}

int main(void)
{
    sleeps(by_nanosleep, "nanosleep");
    sleeps(by_poll, "poll");
    sleeps(by_condition, "pthread_cond_timedwait");
    return 0;
}
