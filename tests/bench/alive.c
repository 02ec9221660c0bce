/* alive.c: N threads are made, all alive at the same time, then released and joined.
 * usage: alive [MS [N]]; prints nanoseconds per thread, from the first create to the last join. One round, whatever MS says:
 * cold stacks are part of what a program pays that makes its threads once. */
#include "bench.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER, go = PTHREAD_COND_INITIALIZER;
static long arrived, expected;
static int released;

static void *wait_for_release(void *arg) {
    pthread_mutex_lock(&lock);
    if (++arrived == expected)
        pthread_cond_signal(&all_here);
    while (!released)
        pthread_cond_wait(&go, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void *nothing(void *arg) { return arg; }

int main(int argc, char **argv) {
    expected = arg_long(argc, argv, 2, 10000);
    pthread_t *t = allocate((size_t)expected, sizeof *t);
    pthread_join(start_thread(nothing, NULL), NULL);

    uint64_t start = now_ns();
    for (long i = 0; i < expected; i++)
        t[i] = start_thread(wait_for_release, NULL);
    uint64_t made = now_ns();
    pthread_mutex_lock(&lock);
    while (arrived < expected)
        pthread_cond_wait(&all_here, &lock);
    released = 1;
    pthread_cond_broadcast(&go);
    pthread_mutex_unlock(&lock);
    for (long i = 0; i < expected; i++)
        pthread_join(t[i], NULL);
    uint64_t end = now_ns();
    double n = (double)expected;
    report("alive", (double)(end - start) / n, "ns", "threads=%ld make=%.0f rest=%.0f", expected,
           (double)(made - start) / n, (double)(end - made) / n);
    return 0;
}
