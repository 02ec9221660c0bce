/* gettid.c: every thread has an id of its own that does not change; main's is the process id. */
#include "check.h"
#include <sys/syscall.h>

#define N 200

static pid_t ids[N];
static pthread_barrier_t all_alive;

static void *worker(void *arg)
{
    pid_t *id = arg;
    *id = gettid();
    pthread_barrier_wait(&all_alive);
    for (int i = 0; i < 20; i++) {
        sched_yield();
        CHECK(gettid() == *id);
        CHECK(syscall(SYS_gettid) == *id);
    }
    CHECK(*id != getpid() && getpid() == syscall(SYS_getpid));
    return NULL;
}

static int compare(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    pthread_t threads[N];
    CHECK(gettid() == getpid());
    CHECK0(pthread_barrier_init(&all_alive, NULL, N));
    for (int i = 0; i < N; i++)
        threads[i] = start(worker, &ids[i]);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(gettid() == getpid());
    qsort(ids, N, sizeof ids[0], compare);
    for (int i = 0; i < N; i++) {
        CHECK(ids[i] > 0 && ids[i] < 1 << 30);
        CHECK(i == 0 || ids[i] != ids[i - 1]);
    }
    printf("%d ids, all different\n", N);
    return 0;
}
