/* cpu_clock_forward.c: a thread's CPU clock does not go backwards where the kernel takes the CPU away while it is read: several
 * threads read theirs all the time, beside a process that computes, on one CPU. Nor does it run ahead of the time that goes by. */
#include "onecpu.h"
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define THREADS 2
#define BUSY 1
#define READ_NS (200 * NSEC_PER_MSEC)
#define INEXACT (100 * NSEC_PER_USEC)
#define NSEC_PER_USEC 1000LL

static pid_t compute(void)
{
    pid_t self = getpid(), child = fork();
    CHECK(child >= 0);
    if (child)
        return child;
    for (volatile unsigned long x = 0;; x++)
        if (x % 100000000 == 0 && getppid() != self)
            _exit(1);
}

static void *reads(void *arg)
{
    int64_t began = now_ns(CLOCK_MONOTONIC), first = now_ns(CLOCK_THREAD_CPUTIME_ID), last = first;
    do {
        int64_t now = now_ns(CLOCK_THREAD_CPUTIME_ID);
        CHECK(now >= last - INEXACT);
        CHECK(now - first <= now_ns(CLOCK_MONOTONIC) - began + INEXACT);
        last = now;
    } while (last - first < READ_NS);
    return arg;
}

int main(void)
{
    pid_t busy[BUSY];
    pthread_t t[THREADS];
    use_one_cpu();
    for (int i = 0; i < BUSY; i++)
        busy[i] = compute();
    for (int i = 0; i < THREADS; i++)
        t[i] = start(reads, NULL);
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
    for (int i = 0; i < BUSY; i++)
        CHECK(kill(busy[i], SIGKILL) == 0 && waitpid(busy[i], NULL, 0) == busy[i]);
    puts("forward");
    return 0;
}
