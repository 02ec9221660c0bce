/* memory.c: what N parked threads with default attributes cost.
 * usage: memory [MS [N]]; prints KiB per thread: resident memory, page tables, and the kernel's stacks and slabs. MS is how
 * long the threads have been parked when the reading is taken.
 *
 * RSS and page tables are the process's own. Kernel memory can only be read for the whole machine, so it is the difference
 * in /proc/meminfo, which anything else that runs at the time disturbs. */
#include "bench.h"

struct reading {
    long rss, page_tables, kernel_stack, slab;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER, never = PTHREAD_COND_INITIALIZER;
static long arrived, expected;

static void *park(void *arg) {
    pthread_mutex_lock(&lock);
    if (++arrived == expected)
        pthread_cond_signal(&all_here);
    for (;;)
        pthread_cond_wait(&never, &lock);
    return arg;
}

static void *nothing(void *arg) { return arg; }

static struct reading take_reading(void) {
    return (struct reading){
        .rss = proc_field("/proc/self/smaps_rollup", "Rss:"),
        .page_tables = proc_field("/proc/self/status", "VmPTE:"),
        .kernel_stack = proc_field("/proc/meminfo", "KernelStack:"),
        .slab = proc_field("/proc/meminfo", "Slab:"),
    };
}

int main(int argc, char **argv) {
    uint64_t settle = arg_duration(argc, argv);
    expected = arg_long(argc, argv, 2, 10000);
    pthread_join(start_thread(nothing, NULL), NULL);
    struct reading a = take_reading();
    for (long i = 0; i < expected; i++)
        start_thread(park, NULL);
    pthread_mutex_lock(&lock);
    while (arrived < expected)
        pthread_cond_wait(&all_here, &lock);
    pthread_mutex_unlock(&lock);
    usleep((useconds_t)(settle / 1000));
    struct reading b = take_reading();
    double n = (double)expected, rss = (double)(b.rss - a.rss) / n, pt = (double)(b.page_tables - a.page_tables) / n,
           stack = (double)(b.kernel_stack - a.kernel_stack) / n, slab = (double)(b.slab - a.slab) / n;
    report("memory", rss + pt + stack + slab, "KiB", "threads=%ld rss=%.2f page_tables=%.2f kernel_stack=%.2f slab=%.2f",
           expected, rss, pt, stack, slab);
    exit(0); /* the parked threads end with the process */
}
