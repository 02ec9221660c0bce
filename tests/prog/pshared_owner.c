/* pshared_owner.c: threads of two processes are told apart as owners of recursive, error-checking and robust mutexes. */
#include "check.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define THREADS 20

static struct shared {
    pthread_mutex_t recursive, errorcheck, robust;
    sem_t held, tried;
} *s;

static void init_mutex(pthread_mutex_t *m, int type, int robust)
{
    pthread_mutexattr_t a;
    CHECK0(pthread_mutexattr_init(&a));
    CHECK0(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_mutexattr_settype(&a, type));
    if (robust)
        CHECK0(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    CHECK0(pthread_mutex_init(m, &a));
}

static void *holder(void *arg)
{
    (void)arg;
    CHECK0(pthread_mutex_lock(&s->recursive));
    CHECK0(pthread_mutex_lock(&s->errorcheck));
    CHECK0(pthread_mutex_lock(&s->robust));
    CHECK(sem_post(&s->held) == 0);
    CHECK(sem_wait(&s->tried) == 0);
    CHECK0(pthread_mutex_unlock(&s->recursive));
    CHECK0(pthread_mutex_unlock(&s->errorcheck));
    CHECK0(pthread_mutex_unlock(&s->robust));
    return NULL;
}

static pthread_barrier_t all;

static void *other(void *arg)
{
    (void)arg;
    CHECK(pthread_mutex_trylock(&s->recursive) == EBUSY);
    CHECK(pthread_mutex_trylock(&s->errorcheck) == EBUSY);
    CHECK(pthread_mutex_trylock(&s->robust) == EBUSY);
    struct timespec soon = deadline(CLOCK_REALTIME, 1);
    CHECK(pthread_mutex_timedlock(&s->errorcheck, &soon) == ETIMEDOUT);
    CHECK(pthread_mutex_timedlock(&s->robust, &soon) == ETIMEDOUT);
    CHECK(pthread_mutex_unlock(&s->recursive) == EPERM);
    CHECK(pthread_mutex_unlock(&s->errorcheck) == EPERM);
    CHECK(pthread_mutex_unlock(&s->robust) == EPERM);
    pthread_barrier_wait(&all); /* so that all have ids at the same time */
    return NULL;
}

int main(void)
{
    int status;
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    init_mutex(&s->recursive, PTHREAD_MUTEX_RECURSIVE, 0);
    init_mutex(&s->errorcheck, PTHREAD_MUTEX_ERRORCHECK, 0);
    init_mutex(&s->robust, PTHREAD_MUTEX_NORMAL, 1);
    CHECK(sem_init(&s->held, 1, 0) == 0 && sem_init(&s->tried, 1, 0) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        join(start(holder, NULL));
        return 0;
    }
    pthread_t t[THREADS];
    CHECK(sem_wait(&s->held) == 0);
    CHECK0(pthread_barrier_init(&all, NULL, THREADS));
    for (int i = 0; i < THREADS; i++)
        t[i] = start(other, NULL);
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
    CHECK(sem_post(&s->tried) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    puts("owners of two processes are told apart");
    return 0;
}
