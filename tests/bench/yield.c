/* yield.c: N threads do nothing but give way to each other.
 * usage: yield [MS [N]]; prints elapsed nanoseconds per sched_yield, all threads together. */
#include "bench.h"
#include <sched.h>
#include <stdatomic.h>

enum { BATCH = 256 };

struct worker {
    pthread_t thread;
    uint64_t yields;
    char pad[48]; /* a cache line each, so that counting is not what is measured */
};

static pthread_barrier_t ready;
static atomic_int stop;
static uint64_t duration, start;

/* Every thread looks at the clock itself: a timer thread would have to get its turn among the yielding ones first. */
static void *run(void *arg) {
    struct worker *w = arg;
    pthread_barrier_wait(&ready);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < BATCH; i++)
            sched_yield();
        w->yields += BATCH;
        if (now_ns() - start > duration)
            atomic_store_explicit(&stop, 1, memory_order_relaxed);
    }
    return NULL;
}

int main(int argc, char **argv) {
    long n = arg_long(argc, argv, 2, 2);
    uint64_t total = 0;
    duration = arg_duration(argc, argv);
    struct worker *w = allocate((size_t)n, sizeof *w);
    pthread_barrier_init(&ready, NULL, (unsigned)n + 1);
    for (long i = 0; i < n; i++)
        w[i].thread = start_thread(run, &w[i]);
    start = now_ns();
    pthread_barrier_wait(&ready);
    for (long i = 0; i < n; i++)
        pthread_join(w[i].thread, NULL);
    uint64_t spent = now_ns() - start;
    for (long i = 0; i < n; i++)
        total += w[i].yields;
    report("yield", (double)spent / (double)total, "ns", "threads=%ld yields=%lu", n, total);
    return 0;
}
