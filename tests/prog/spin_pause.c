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
#define TIMES 4 /* once is enough: who looks for spinners may be on a CPU that stands still for long, while they spin on another */

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

/* The CPU time of all turns. */
static int64_t take_turns(void)
{
    pthread_t threads[THREADS];
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    turn = 0;
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (getenv("SHOW"))
        fprintf(stderr, "%lld us of CPU a turn\n", (long long)(cpu / ROUNDS / THREADS / 1000));
    return cpu;
}

int main(void)
{
    const int64_t most = 2 * ROUNDS * THREADS * NSEC_PER_MSEC; /* 5 ms a turn and more in its slices */
    const char *procs = getenv("GOMAXPROCS");
    int64_t cpu = take_turns();
    for (int i = 1; i < TIMES && cpu >= most; i++)
        cpu = take_turns();
    if (procs && !strcmp(procs, "1"))
        CHECK(cpu < most);
    puts("each had its turn");
    return 0;
}
