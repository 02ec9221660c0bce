/* turns.c: pairs of threads that hand off to each other, threads that compute and one that sleeps now and then: each has its
 * turn. It did not where the pairs' slice began anew after each sleep. Each is to have it in one of a few periods: where a CPU
 * stands still for long, those that run there have none meanwhile, natively too. */
#include "check.h"
#include <semaphore.h>
#include <stdatomic.h>

enum { PAIRS = 20, COMPUTING = 2, SLEEP_MS = 5, CPU_MS = 1500, PERIODS = 4, MOST_SLEEPS = 20000 / SLEEP_MS };

static struct pair {
    sem_t a, b;
    atomic_ulong n;
} pairs[PAIRS];
static clockid_t clocks[COMPUTING];
static atomic_int stop;
static pthread_barrier_t barrier;
static char turns_had[200];

static void *answer(void *arg)
{
    struct pair *pair = arg;
    for (;;) {
        sem_wait(&pair->a);
        int last = stop;
        sem_post(&pair->b);
        if (last)
            return NULL;
    }
}

static void *ask(void *arg)
{
    struct pair *pair = arg;
    while (!stop) {
        sem_post(&pair->a);
        sem_wait(&pair->b);
        pair->n++;
    }
    sem_post(&pair->a);
    return NULL;
}

static void *compute(void *arg)
{
    volatile unsigned long x = 0;
    CHECK(pthread_getcpuclockid(pthread_self(), arg) == 0);
    pthread_barrier_wait(&barrier);
    while (!stop)
        x++;
    pthread_barrier_wait(&barrier);
    return NULL;
}

static long ms_of(clockid_t clock)
{
    struct timespec t;
    CHECK(clock_gettime(clock, &t) == 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether all had their turns, until much CPU time is used. */
static int all_had_turns(void)
{
    unsigned long before[PAIRS], sum = 0, least = -1UL;
    long computed = 0;
    int sleeps = 0;
    for (int i = 0; i < PAIRS; i++)
        before[i] = pairs[i].n;
    for (int i = 0; i < COMPUTING; i++)
        computed -= ms_of(clocks[i]);
    long begin = ms_of(CLOCK_PROCESS_CPUTIME_ID);
    while (ms_of(CLOCK_PROCESS_CPUTIME_ID) < begin + CPU_MS && sleeps++ < MOST_SLEEPS)
        CHECK(usleep(SLEEP_MS * 1000) == 0);
    for (int i = 0; i < PAIRS; i++) {
        unsigned long n = pairs[i].n - before[i];
        sum += n;
        least = n < least ? n : least;
    }
    for (int i = 0; i < COMPUTING; i++)
        computed += ms_of(clocks[i]);
    if (least >= sum / PAIRS / 10 && computed >= CPU_MS / 30)
        return 1;
    snprintf(turns_had, sizeof turns_had, "hand-offs of a pair: %lu at least, %lu on average; %ld of %d ms computed\n", least,
             sum / PAIRS, computed, CPU_MS);
    return 0;
}

int main(void)
{
    static pthread_t asking[PAIRS], answering[PAIRS], computing[COMPUTING];
    pthread_barrier_init(&barrier, NULL, COMPUTING + 1);
    for (int i = 0; i < COMPUTING; i++)
        CHECK(pthread_create(&computing[i], NULL, compute, &clocks[i]) == 0);
    for (int i = 0; i < PAIRS; i++) {
        CHECK(pthread_create(&answering[i], NULL, answer, &pairs[i]) == 0);
        CHECK(pthread_create(&asking[i], NULL, ask, &pairs[i]) == 0);
    }
    pthread_barrier_wait(&barrier);
    int had_turns = 0;
    for (int i = 0; i < PERIODS && !had_turns; i++)
        had_turns = all_had_turns();
    if (!had_turns) {
        fputs(turns_had, stderr);
        return 1;
    }
    stop = 1;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < PAIRS; i++) {
        CHECK(pthread_join(asking[i], NULL) == 0);
        CHECK(pthread_join(answering[i], NULL) == 0);
    }
    for (int i = 0; i < COMPUTING; i++)
        CHECK(pthread_join(computing[i], NULL) == 0);
    return 0;
}
