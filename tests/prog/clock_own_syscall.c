/* clock_own_syscall.c: a program that has a function called `syscall` of its own: reads of a CPU clock do not call it. */
#include "check.h"
#include <stdatomic.h>
#include <time.h>

static atomic_long calls;

long syscall(long nr, ...);

long syscall(long nr, ...)
{
    atomic_fetch_add(&calls, 1);
    return -nr;
}

static void *reads_clock(void *arg)
{
    struct timespec ts = { 0, 0 };
    while (ts.tv_sec == 0 && ts.tv_nsec < 100000000)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return arg;
}

int main(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = start(reads_clock, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    CHECK(atomic_load(&calls) == 0);
    return 0;
}
