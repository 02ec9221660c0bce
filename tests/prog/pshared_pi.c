/* pshared_pi.c: mutexes with priority inheritance between the threads of two processes: they exclude, time out, and a robust
 * one tells of an owner that died. */
#include "check.h"
#include <sys/mman.h>
#include <sys/wait.h>

#define THREADS 4
#define ROUNDS 3000

static struct shared {
    pthread_mutex_t mutex, held, robust;
    pthread_barrier_t both;
    long count;
} *s;

static void make(pthread_mutex_t *m, int robust)
{
    pthread_mutexattr_t a;
    CHECK0(pthread_mutexattr_init(&a));
    CHECK0(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
    if (robust)
        CHECK0(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    CHECK0(pthread_mutex_init(m, &a));
}

static void *count_up(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK0(pthread_mutex_lock(&s->mutex));
        long seen = s->count;
        if (i % 64 == 0)
            sched_yield();
        s->count = seen + 1;
        CHECK0(pthread_mutex_unlock(&s->mutex));
    }
    return arg;
}

static void all_count(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        t[i] = start(count_up, NULL);
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
}

static void *dies_with_it(void *arg)
{
    CHECK0(pthread_mutex_lock(&s->robust));
    pthread_barrier_wait(&s->both);
    sleep_ms(20); /* the other process waits by now, or finds it dead */
    return arg;
}

static void *holds(void *arg)
{
    CHECK0(pthread_mutex_lock(&s->held));
    pthread_barrier_wait(&s->both);
    pthread_barrier_wait(&s->both);
    CHECK0(pthread_mutex_unlock(&s->held));
    return arg;
}

static void *meets(void *arg)
{
    pthread_barrier_wait(&s->both);
    CHECK(pthread_mutex_lock(&s->robust) == EOWNERDEAD);
    CHECK0(pthread_mutex_consistent(&s->robust));
    CHECK0(pthread_mutex_unlock(&s->robust));
    CHECK0(pthread_mutex_lock(&s->robust));
    CHECK0(pthread_mutex_unlock(&s->robust));
    pthread_barrier_wait(&s->both);
    struct timespec when = deadline(CLOCK_REALTIME, 20);
    CHECK(pthread_mutex_trylock(&s->held) == EBUSY);
    CHECK(pthread_mutex_timedlock(&s->held, &when) == ETIMEDOUT);
    pthread_barrier_wait(&s->both);
    CHECK0(pthread_mutex_lock(&s->held));
    CHECK0(pthread_mutex_unlock(&s->held));
    return arg;
}

int main(void)
{
    int status;
    pthread_barrierattr_t b;
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make(&s->mutex, 0);
    make(&s->held, 0);
    make(&s->robust, 1);
    CHECK0(pthread_barrierattr_init(&b));
    CHECK0(pthread_barrierattr_setpshared(&b, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_barrier_init(&s->both, &b, 2));
    pid_t pid = fork();
    if (pid == 0) {
        all_count();
        join(start(dies_with_it, NULL));
        join(start(holds, NULL));
        return 0;
    }
    all_count();
    join(start(meets, NULL));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(s->count == 2L * THREADS * ROUNDS);
    puts("excluded, timed out, told of the dead");
    return 0;
}
