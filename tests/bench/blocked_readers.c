/* blocked_readers.c: N threads are blocked in read of a pipe each, while two others compute.
 * usage: blocked_readers [ROUNDS [N]]; prints milliseconds that the two computing threads take, and the number of kernel
 * threads meanwhile. In the end every reader must get its byte. */
#include "bench.h"
#include <stdatomic.h>

struct reader {
    pthread_t thread;
    int fd[2];
};

static atomic_long served;

static void *read_one(void *arg) {
    struct reader *r = arg;
    char byte;
    if (read(r->fd[0], &byte, 1) == 1 && byte == 'x')
        atomic_fetch_add(&served, 1);
    return NULL;
}

static void *compute(void *arg) {
    volatile uint64_t x = 1;
    for (long i = *(long *)arg * 1000; i > 0; i--)
        x = x * 6364136223846793005u + 1;
    return NULL;
}

int main(int argc, char **argv) {
    long rounds = arg_long(argc, argv, 1, 60000), n = arg_long(argc, argv, 2, 1000);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct reader *r = allocate((size_t)n, sizeof *r);
    for (long i = 0; i < n; i++) {
        if (pipe(r[i].fd))
            die("pipe");
        r[i].thread = start_thread(read_one, &r[i]);
    }
    usleep(20000); /* they are in their reads now */
    uint64_t start = now_ns();
    pthread_t a = start_thread(compute, &rounds), b = start_thread(compute, &rounds);
    long kernel_threads = proc_field("/proc/self/status", "Threads:");
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    uint64_t computed = now_ns();
    for (long i = 0; i < n; i++)
        if (write(r[i].fd[1], "x", 1) != 1)
            die("write");
    for (long i = 0; i < n; i++)
        pthread_join(r[i].thread, NULL);
    if (served != n) {
        fprintf(stderr, "%ld of %ld readers got their byte\n", served, n);
        return 1;
    }
    report("blocked_readers", (double)(computed - start) / 1e6, "ms", "readers=%ld kernel_threads=%ld release_us=%.0f", n,
           kernel_threads, (double)(now_ns() - computed) / 1e3);
    return 0;
}
