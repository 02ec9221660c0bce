/* contended.c: N threads share one mutex, each with a little work inside it and a little outside.
 * usage: contended [MS [N]]; prints elapsed nanoseconds per locked section, all threads together, and how unevenly the
 * threads were served (most favoured thread against the mean). */
#include "bench.h"
#include <stdatomic.h>

enum { BATCH = 64 };

struct worker {
    pthread_t thread;
    uint64_t sections;
    char pad[48];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t ready;
static atomic_int stop;
static uint64_t duration, start, shared_state = 1;

static uint64_t work(uint64_t x, int rounds) {
    for (int i = 0; i < rounds; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static void *run(void *arg) {
    struct worker *w = arg;
    volatile uint64_t own = (uintptr_t)w;
    pthread_barrier_wait(&ready);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < BATCH; i++) {
            pthread_mutex_lock(&lock);
            shared_state = work(shared_state, 20);
            pthread_mutex_unlock(&lock);
            own = work(own, 60);
        }
        w->sections += BATCH;
        if (now_ns() - start > duration)
            atomic_store_explicit(&stop, 1, memory_order_relaxed);
    }
    return NULL;
}

int main(int argc, char **argv) {
    long n = arg_long(argc, argv, 2, 100);
    uint64_t total = 0, most = 0;
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
    for (long i = 0; i < n; i++) {
        total += w[i].sections;
        most = w[i].sections > most ? w[i].sections : most;
    }
    report("contended", (double)spent / (double)total, "ns", "threads=%ld sections=%lu most/mean=%.1f", n, total,
           (double)most * (double)n / (double)total);
    return 0;
}
