/* clock_reader.c: a signal comes soon to a thread that does nothing but read its CPU clock. Measured by that clock, so that it
 * matters not what else the machine does. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>

enum { N = 50 };
#define SOON (3 * NSEC_PER_MSEC)

static atomic_int stop, ready;
static atomic_llong handled;

static void handler(int sig)
{
    (void)sig;
    handled = now_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void *reads(void *arg)
{
    ready = 1;
    while (!stop)
        now_ns(CLOCK_THREAD_CPUTIME_ID);
    return arg;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int main(void)
{
    clockid_t its;
    int64_t used[N];
    signal(SIGUSR1, handler);
    pthread_t t = start(reads, NULL);
    CHECK0(pthread_getcpuclockid(t, &its));
    while (!ready)
        usleep(1000);
    for (int i = 0; i < N; i++) {
        usleep(1000);
        handled = 0;
        int64_t sent = now_ns(its);
        CHECK0(pthread_kill(t, SIGUSR1));
        while (!handled)
            usleep(100);
        used[i] = handled - sent;
    }
    stop = 1;
    join(t);
    qsort(used, N, sizeof(*used), by_size);
    printf("handled %s\n", used[N / 2] < SOON ? "soon" : "late");
    if (used[N / 2] >= SOON || getenv("SHOW"))
        printf("median %ld us, worst %ld us\n", (long)(used[N / 2] / 1000), (long)(used[N - 1] / 1000));
    return 0;
}
