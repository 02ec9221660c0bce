/*
 * check.h: what every test program uses.
 *
 * A CHECK that fails says where and ends the whole process with status 1, whichever thread it fails in. The programs
 * are ordinary POSIX thread programs: nothing here, or in them, knows preloom.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond, 0))

/* For functions that return an error number, as those of pthreads do. */
#define CHECK0(call) check_zero((call), __FILE__, __LINE__, #call)

/* For functions that return -1 and set errno; `want` is the errno that must be there. */
#define CHECK_ERRNO(call, want) check_errno((call) == -1, (want), __FILE__, __LINE__, #call)

#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC 1000000000LL

static inline void check_failed(const char *file, int line, const char *what, int err)
{
    const char *base = strrchr(file, '/');
    fprintf(stderr, "%s:%d: failed: %s%s%s\n", base ? base + 1 : file, line, what, err ? ": " : "",
            err ? strerror(err) : "");
    _exit(1);
}

static inline void check_zero(int err, const char *file, int line, const char *what)
{
    if (err != 0)
        check_failed(file, line, what, err);
}

static inline void check_errno(int failed, int want, const char *file, int line, const char *what)
{
    int err = errno;
    if (!failed)
        check_failed(file, line, what, 0);
    if (err != want)
        check_failed(file, line, what, err);
}

static inline pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    CHECK0(pthread_create(&thread, NULL, fn, arg));
    return thread;
}

static inline void *join(pthread_t thread)
{
    void *result;
    CHECK0(pthread_join(thread, &result));
    return result;
}

static inline int64_t now_ns(clockid_t clock)
{
    struct timespec ts;
    CHECK(clock_gettime(clock, &ts) == 0);
    return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static inline struct timespec timespec_of(int64_t ns)
{
    struct timespec ts;
    ts.tv_sec = (time_t)(ns / NSEC_PER_SEC);
    ts.tv_nsec = (long)(ns % NSEC_PER_SEC);
    return ts;
}

/* The absolute time `ms` from now on `clock`. */
static inline struct timespec deadline(clockid_t clock, int64_t ms)
{
    return timespec_of(now_ns(clock) + ms * NSEC_PER_MSEC);
}

static inline void sleep_ms(int64_t ms)
{
    struct timespec ts = timespec_of(ms * NSEC_PER_MSEC);
    while (nanosleep(&ts, &ts) != 0)
        CHECK(errno == EINTR);
}

/* Small pseudo-random numbers, one state a thread (xorshift). */
static inline uint32_t random_next(uint32_t *state)
{
    uint32_t x = *state ? *state : 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

#endif
