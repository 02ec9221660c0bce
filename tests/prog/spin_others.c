/*
 * spin_others.c: threads in pure loops do not stop the others.
 *
 * With one processor for all, a thread that sleeps a millisecond at a time must go on running within 20 ms of its time.
 * The machine itself may be loaded, so it is the quicker half of the wake-ups that must keep to it, and what counts is the
 * less of the time that went by and of what the process had of it: when others have the processor, nobody here can run.
 */
#include "check.h"

#define SPINNERS 2
#define OTHERS 4
#define ROUNDS 15

static volatile int stop;
static volatile long spun[SPINNERS];

static void *spinner(void *arg)
{
    volatile long *count = arg;
    while (!stop)
        ++*count;
    return NULL;
}

static int in_time;

static void *other(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec when = deadline(CLOCK_MONOTONIC, 1);
        int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        CHECK0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL));
        int64_t late = now_ns(CLOCK_MONOTONIC) - (when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
        cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        CHECK(late < 30 * NSEC_PER_SEC);
        if (cpu < late)
            late = cpu;
        if (late < (20 + 10) * NSEC_PER_MSEC) /* several share the processor: one slice more */
            __atomic_add_fetch(&in_time, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

int main(void)
{
    pthread_t spinners[SPINNERS], others[OTHERS];
    for (int i = 0; i < SPINNERS; i++)
        spinners[i] = start(spinner, (void *)&spun[i]);
    for (int i = 0; i < SPINNERS; i++)
        while (spun[i] == 0)
            ; /* main spins too: only preemption lets them start */
    for (int i = 0; i < OTHERS; i++)
        others[i] = start(other, NULL);
    for (int i = 0; i < OTHERS; i++)
        join(others[i]);
    stop = 1;
    for (int i = 0; i < SPINNERS; i++)
        join(spinners[i]);
    CHECK(in_time >= OTHERS * ROUNDS / 2);
    puts("all ran beside the spinners");
    return 0;
}
