/*
 * spin_pause.c: as many threads as there are CPUs wait for each other by spinning with `pause`, as OpenMP's do, with however few
 * processors GOMAXPROCS says.
 *
 * Who spins must not keep the processor from the one that it waits for until its time slice ends. CPU time is measured, so
 * other processes do not matter.
 */
#include "check.h"
#include <string.h>

#define ROUNDS 200
#define THREADS 2

static volatile int turn;

static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != me)
            __asm__ volatile("pause");
        __atomic_store_n(&turn, (me + 1) % THREADS, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (getenv("SHOW"))
        fprintf(stderr, "%lld us of CPU a turn\n", (long long)(cpu / ROUNDS / THREADS / 1000));
    const char *procs = getenv("GOMAXPROCS");
    if (procs && !strcmp(procs, "1"))
        CHECK(cpu < 2 * ROUNDS * THREADS * NSEC_PER_MSEC); /* 5 and more in its slices */
    puts("each had its turn");
    return 0;
}
