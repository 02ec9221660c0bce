/* alive.c: many threads alive at once, with default stacks: NAME [THREADS [report]]; the report tells time and memory. */
#include "check.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER, leave = PTHREAD_COND_INITIALIZER;
static long here, wanted;
static int leaving;

static void *lives(void *arg)
{
    CHECK0(pthread_mutex_lock(&lock));
    if (++here == wanted)
        CHECK0(pthread_cond_signal(&all_here));
    while (!leaving)
        CHECK0(pthread_cond_wait(&leave, &lock));
    CHECK0(pthread_mutex_unlock(&lock));
    return arg;
}

/* The value of a line of such a file, in KiB. */
static long kib(const char *path, const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    CHECK(fclose(file) == 0);
    return value;
}

/* The kernel's stacks and slabs, of the whole machine. */
static long kernel_kib(void)
{
    return kib("/proc/meminfo", "KernelStack:") + kib("/proc/meminfo", "Slab:");
}

int main(int argc, char **argv)
{
    wanted = argc > 1 ? strtol(argv[1], NULL, 10) : 2000;
    int report = argc > 2;
    pthread_t *threads = malloc((size_t)wanted * sizeof *threads);
    CHECK(threads != NULL);
    long kernel = kernel_kib();
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    for (long i = 0; i < wanted; i++)
        threads[i] = start(lives, &threads[i]);
    CHECK0(pthread_mutex_lock(&lock));
    while (here < wanted)
        CHECK0(pthread_cond_wait(&all_here, &lock));
    long rss = kib("/proc/self/status", "VmRSS:"), tables = kib("/proc/self/status", "VmPTE:");
    kernel = kernel_kib() - kernel;
    leaving = 1;
    CHECK0(pthread_mutex_unlock(&lock));
    CHECK0(pthread_cond_broadcast(&leave));
    for (long i = 0; i < wanted; i++)
        CHECK(join(threads[i]) == &threads[i]);
    int64_t end = now_ns(CLOCK_MONOTONIC);
    printf("%ld threads\n", here);
    if (report)
        printf("%.0f ms, %.1f MiB resident, %.1f MiB of page tables, %.1f MiB more in the kernel\n",
               (double)(end - begin) / 1e6, (double)rss / 1024, (double)tables / 1024, (double)kernel / 1024);
    free(threads);
    return 0;
}
