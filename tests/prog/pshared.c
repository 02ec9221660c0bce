/* pshared.c: process-shared mutex, condition variable, semaphore and barrier between threads of a parent and a child. */
#include "check.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define THREADS 3
#define ROUNDS 400

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_barrier_t barrier;
    sem_t ping, pong;
    long count;
    int turn;
};

static struct shared *shared;

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK0(pthread_mutex_lock(&shared->mutex));
        shared->count++;
        CHECK0(pthread_mutex_unlock(&shared->mutex));
    }
    return NULL;
}

/* Parent and child take turns by the condition variable. */
static void *take_turns(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK0(pthread_mutex_lock(&shared->mutex));
        while (shared->turn != me)
            CHECK0(pthread_cond_wait(&shared->cond, &shared->mutex));
        shared->turn = !me;
        CHECK0(pthread_cond_signal(&shared->cond));
        CHECK0(pthread_mutex_unlock(&shared->mutex));
    }
    return NULL;
}

static void *semaphores(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(sem_post(me ? &shared->ping : &shared->pong) == 0);
        CHECK(sem_wait(me ? &shared->pong : &shared->ping) == 0);
    }
    return NULL;
}

static void one_side(int me)
{
    pthread_t threads[THREADS + 2];
    int result = pthread_barrier_wait(&shared->barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(count_up, NULL);
    threads[THREADS] = start(take_turns, (void *)(intptr_t)me);
    threads[THREADS + 1] = start(semaphores, (void *)(intptr_t)me);
    for (int i = 0; i < THREADS + 2; i++)
        join(threads[i]);
    result = pthread_barrier_wait(&shared->barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void make_shared(void)
{
    pthread_mutexattr_t mutex_attr;
    pthread_condattr_t cond_attr;
    pthread_barrierattr_t barrier_attr;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    CHECK0(pthread_mutexattr_init(&mutex_attr));
    CHECK0(pthread_mutexattr_setpshared(&mutex_attr, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_mutex_init(&shared->mutex, &mutex_attr));
    CHECK0(pthread_condattr_init(&cond_attr));
    CHECK0(pthread_condattr_setpshared(&cond_attr, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_cond_init(&shared->cond, &cond_attr));
    CHECK0(pthread_barrierattr_init(&barrier_attr));
    CHECK0(pthread_barrierattr_setpshared(&barrier_attr, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_barrier_init(&shared->barrier, &barrier_attr, 2));
    CHECK(sem_init(&shared->ping, 1, 0) == 0 && sem_init(&shared->pong, 1, 0) == 0);
}

int main(void)
{
    make_shared();
    pid_t child = fork();
    CHECK(child >= 0);
    one_side(child == 0);
    if (child == 0)
        _exit(0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    printf("both counted to %ld\n", shared->count);
    return 0;
}
