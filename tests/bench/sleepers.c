/* sleepers.c: N threads, each in a loop of usleep.
 * usage: sleepers [MS [N [SLEEP_MS]]]; prints CPU nanoseconds per sleep, and by how much the sleeps end late.
 *
 * Each thread sleeps MS / SLEEP_MS times. 10,000 threads that sleep 10 ms ask for a million sleeps a second, more than kernel
 * threads can serve: the figure is what a sleep costs when a CPU is full of them. That is why the number of sleeps is fixed
 * and why the last thread takes the reading: a main thread that wakes up to end the run would wait half a minute for its
 * fair share among 10,000. Lengths are spread by half of SLEEP_MS to both sides, so that sleeps do not end in herds. */
#include "bench.h"
#include <stdatomic.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_long unfinished, late_us;
static long sleeps_each, sleep_ms;
static uint64_t cpu_end, end;

static void *run(void *arg) {
    useconds_t length = (useconds_t)(sleep_ms * 500 + (intptr_t)arg * 997 % (sleep_ms * 1000));
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    uint64_t start = now_ns();
    for (long i = 0; i < sleeps_each; i++)
        usleep(length);
    atomic_fetch_add(&late_us, (long)((now_ns() - start) / 1000) - sleeps_each * (long)length);
    if (atomic_fetch_sub(&unfinished, 1) == 1) {
        cpu_end = cpu_ns();
        end = now_ns();
    }
    return NULL;
}

int main(int argc, char **argv) {
    long n = arg_long(argc, argv, 2, 10000);
    sleep_ms = arg_long(argc, argv, 3, 10);
    sleeps_each = arg_long(argc, argv, 1, 300) / sleep_ms;
    pthread_t *t = allocate((size_t)n, sizeof *t);
    unfinished = n;
    pthread_mutex_lock(&gate);
    for (long i = 0; i < n; i++)
        t[i] = start_thread(run, (void *)(intptr_t)i);
    uint64_t cpu0 = cpu_ns(), start = now_ns();
    pthread_mutex_unlock(&gate);
    for (long i = 0; i < n; i++)
        pthread_join(t[i], NULL);
    double sleeps = (double)n * (double)sleeps_each, cpu = (double)(cpu_end - cpu0);
    report("sleepers", cpu / sleeps, "ns", "threads=%ld sleeps_each=%ld cpu=%.0f%% late_us=%.0f", n, sleeps_each,
           100.0 * cpu / (double)(end - start), (double)late_us / sleeps);
    return 0;
}
