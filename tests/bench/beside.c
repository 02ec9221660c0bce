/* beside.c: a thread reads what another process writes to a pipe, while other threads compute or hand off to each other.
 * usage: beside [MS [N [PAIRS]]]; prints the median of how many nanoseconds after the write it has read, beside N threads that
 * compute and PAIRS that hand off by semaphores. */
#include "bench.h"
#include <semaphore.h>
#include <sys/wait.h>

enum { EVERY_US = 10000, MOST = 1000 };

static volatile uint64_t computed;

static void *compute(void *arg) {
    uint64_t x = (uintptr_t)arg;
    for (;;) {
        for (int i = 0; i < 1000; i++)
            x = x * 6364136223846793005u + (x >> 33);
        computed = x;
    }
    return NULL;
}

struct pair {
    sem_t a, b;
};

static void *answer(void *arg) {
    struct pair *pair = arg;
    for (;;) {
        sem_wait(&pair->a);
        sem_post(&pair->b);
    }
    return NULL;
}

static void *ask(void *arg) {
    struct pair *pair = arg;
    for (;;) {
        sem_post(&pair->a);
        sem_wait(&pair->b);
    }
    return NULL;
}

static void start_pairs(long n) {
    static struct pair pairs[MOST];
    for (long i = 0; i < n && i < MOST; i++) {
        start_thread(answer, &pairs[i]);
        start_thread(ask, &pairs[i]);
    }
}

static void write_times(int fd, long n) {
    for (long i = 0; i < n; i++) {
        usleep(EVERY_US + (useconds_t)(i * 7919 % 5000));
        uint64_t now = now_ns();
        if (write(fd, &now, sizeof now) != sizeof now)
            die("write");
    }
    _exit(0);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static uint64_t late[MOST], sent;
    int fd[2];
    long n = (long)(arg_duration(argc, argv) / 1000 / EVERY_US), threads = arg_long(argc, argv, 2, 3), pairs = arg_long(argc, argv, 3, 0), got = 0;
    if (n < 1 || n > MOST)
        n = n < 1 ? 1 : MOST;
    if (pipe(fd))
        die("pipe");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (!child)
        write_times(fd[1], n);
    close(fd[1]);
    for (long i = 0; i < threads; i++)
        start_thread(compute, (void *)i);
    start_pairs(pairs);
    while (read(fd[0], &sent, sizeof sent) == sizeof sent)
        late[got++] = now_ns() - sent;
    waitpid(child, NULL, 0);
    if (!got)
        die("read");
    qsort(late, (size_t)got, sizeof late[0], compare);
    report("beside", (double)late[got / 2], "ns", "threads=%ld pairs=%ld reads=%ld p90_us=%.0f max_us=%.0f", threads, pairs,
           got, (double)late[got * 9 / 10] / 1e3, (double)late[got - 1] / 1e3);
    return 0;
}
