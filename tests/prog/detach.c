/* detach.c: detached threads run to their end, by attribute, by pthread_detach from outside and from inside. */
#include "check.h"
#include <semaphore.h>

#define N 100

static sem_t done;
static sem_t go;

static void *work(void *arg)
{
    if (arg != NULL)
        CHECK0(pthread_detach(pthread_self()));
    sem_post(&done);
    return NULL;
}

static void *wait_for_go(void *arg)
{
    (void)arg;
    while (sem_wait(&go) != 0)
        CHECK(errno == EINTR);
    sem_post(&done);
    return NULL;
}

int main(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sem_init(&done, 0, 0);
    sem_init(&go, 0, 0);
    CHECK0(pthread_attr_init(&attr));
    CHECK0(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
    for (int i = 0; i < N; i++) {
        CHECK0(pthread_create(&thread, &attr, work, NULL));
        CHECK0(pthread_create(&thread, NULL, work, &go));
        thread = start(work, NULL);
        CHECK0(pthread_detach(thread));
    }
    for (int i = 0; i < 3 * N; i++)
        CHECK(sem_wait(&done) == 0);

    /* A detached thread that still runs can be neither joined nor detached again. */
    CHECK0(pthread_create(&thread, &attr, wait_for_go, NULL));
    int detached;
    pthread_attr_t its;
    CHECK0(pthread_getattr_np(thread, &its));
    CHECK0(pthread_attr_getdetachstate(&its, &detached));
    CHECK(detached == PTHREAD_CREATE_DETACHED);
    CHECK(pthread_join(thread, NULL) == EINVAL);
    CHECK(pthread_detach(thread) == EINVAL);
    sem_post(&go);
    CHECK(sem_wait(&done) == 0);
    pthread_attr_destroy(&its);
    pthread_attr_destroy(&attr);
    puts("detached threads ran");
    return 0;
}
