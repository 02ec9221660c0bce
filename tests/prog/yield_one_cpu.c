/*
 * yield_one_cpu.c: two threads that wait for each other with nothing but sched_yield, or with a thousand pauses before each, the
 * process having one CPU, however many processors GOMAXPROCS says.
 *
 * Each yield must let the other run, in the kernel too: a kernel thread that goes on spinning keeps the CPU from the one
 * that it waits for until its time slice ends, some milliseconds. CPU time is measured, so other processes do not matter.
 */
#include "onecpu.h"
#include <sched.h>

#define ROUNDS 600
#define BEFORE (40 * NSEC_PER_MSEC) /* of CPU time */

static volatile int turn;
static int pauses;

/* Long enough for every thread to come to a processor of its own. */
static void compute(int64_t ns)
{
    int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        ;
}

static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg;
    compute(BEFORE);
    for (int i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != me) {
            for (int k = 0; k < pauses; k++)
                __builtin_ia32_pause();
            sched_yield();
        }
        __atomic_store_n(&turn, !me, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void take_turns(int pauses_before_a_yield)
{
    pthread_t threads[2];
    pauses = pauses_before_a_yield;
    int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (intptr_t i = 0; i < 2; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < 2; i++)
        join(threads[i]);
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (getenv("SHOW"))
        fprintf(stderr, "%lld us of CPU a round\n", (long long)(cpu / ROUNDS / 1000));
    CHECK(cpu < 2 * BEFORE + ROUNDS * NSEC_PER_MSEC);
}

int main(void)
{
    use_one_cpu();
    take_turns(0);
    take_turns(1000);
    puts("each had its turn");
    return 0;
}
