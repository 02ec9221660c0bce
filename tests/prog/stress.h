/* stress.h: arguments of the stress programs: NAME [SEED [MILLISECONDS]]. The seed is printed, the run ends in time. */
#ifndef STRESS_H
#define STRESS_H

#include "check.h"

static uint32_t stress_seed = 1;
static int64_t stress_end;

static inline void stress_begin(int argc, char **argv, int64_t default_ms)
{
    if (argc > 1)
        stress_seed = (uint32_t)strtoul(argv[1], NULL, 10);
    int64_t ms = argc > 2 ? strtoll(argv[2], NULL, 10) : default_ms;
    printf("seed %u\n", stress_seed);
    fflush(stdout);
    stress_end = now_ns(CLOCK_MONOTONIC) + ms * NSEC_PER_MSEC;
}

static inline int stress_over(void)
{
    return now_ns(CLOCK_MONOTONIC) >= stress_end;
}

/* The state of thread `id`'s own random numbers. */
static inline uint32_t stress_random(int id)
{
    uint32_t state = stress_seed * 2654435761u + (uint32_t)id * 40503u + 1;
    random_next(&state);
    return state;
}

/* Now and then gives the processor away, or sleeps a moment, or computes. */
static inline void stress_pause(uint32_t *state)
{
    uint32_t r = random_next(state);
    if (r % 16 == 0) {
        struct timespec ts = {0, (long)(r >> 8) % 50000};
        nanosleep(&ts, NULL);
    } else if (r % 4 == 0) {
        sched_yield();
    } else if (r % 64 == 1) {
        for (volatile uint32_t i = 0; i < r % 100000; i++)
            ;
    }
}

#endif
