/* yield.c: sched_yield lets the others run: threads that only poll and yield all make progress. */
#include "check.h"

#define N 8
#define ROUNDS 500

static volatile int turn;
static long steps[N];

/* Each waits for its turn with nothing but yields. */
static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != me)
            CHECK(sched_yield() == 0);
        steps[me]++;
        __atomic_store_n(&turn, (me + 1) % N, __ATOMIC_RELEASE);
    }
    return NULL;
}

static int stop;
static long counts[4];

static void *counter(void *arg)
{
    long *count = arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    for (int i = 0; i < N; i++)
        printf("%ld ", steps[i]);
    puts("steps");

    /* None is left behind: the last comes to 100 before the test's time is over. */
    for (int i = 0; i < 4; i++)
        threads[i] = start(counter, &counts[i]);
    for (int i = 0; i < 4; i++)
        while (__atomic_load_n(&counts[i], __ATOMIC_RELAXED) < 100)
            sched_yield();
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    puts("all yielded");
    return 0;
}
