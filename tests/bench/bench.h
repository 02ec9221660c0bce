/* bench.h: what every benchmark program shares: clocks, arguments, threads that must start, one result line.
 *
 * A program measures for a given time instead of a given count, because the same loop is up to a hundred times faster under
 * preloom: a count that suits one side is too short or too long for the other. The clock is read once per batch.
 * The result line is `name value unit [key=value …]`; smaller is better in all programs but the servers. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* User and system time of the whole process: what its kernel threads cost, whoever runs on them. */
static inline uint64_t cpu_ns(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

__attribute__((noreturn)) static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline long arg_long(int argc, char **argv, int i, long otherwise) {
    return argc > i ? strtol(argv[i], NULL, 10) : otherwise;
}

/* First argument of every program: how long to measure, in milliseconds. */
static inline uint64_t arg_duration(int argc, char **argv) {
    return (uint64_t)arg_long(argc, argv, 1, 300) * 1000000u;
}

static inline pthread_t start_thread(void *(*f)(void *), void *arg) {
    pthread_t t;
    int e = pthread_create(&t, NULL, f, arg);
    if (e) {
        fprintf(stderr, "pthread_create: %s\n", strerror(e));
        exit(1);
    }
    return t;
}

static inline void *allocate(size_t n, size_t size) {
    void *p = calloc(n, size);
    if (!p)
        die("calloc");
    return p;
}

__attribute__((format(printf, 4, 5))) static inline void report(const char *name, double value, const char *unit,
                                                                const char *more, ...) {
    printf("%s %.2f %s ", name, value, unit);
    va_list ap;
    va_start(ap, more);
    vprintf(more, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

/* The number after `key` in a file of /proc, or 0: "VmPTE:" in /proc/self/status, "Slab:" in /proc/meminfo. */
static inline long proc_field(const char *file, const char *key) {
    char line[256];
    long value = 0;
    size_t n = strlen(key);
    FILE *f = fopen(file, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, key, n)) {
            value = strtol(line + n, NULL, 10);
            break;
        }
    fclose(f);
    return value;
}

#endif
