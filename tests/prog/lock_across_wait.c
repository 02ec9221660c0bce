/* lock_across_wait.c: a lock held across waits of all kinds does not stop threads that do not want it. */
#include "check.h"
#include <semaphore.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t holder_inside, let_go;
static int fds[2];

static void *holds(void *arg)
{
    char c;
    CHECK0(pthread_mutex_lock(&lock));
    CHECK(sem_post(&holder_inside) == 0);
    sleep_ms(2);
    CHECK(read(fds[0], &c, 1) == 1);
    CHECK(sem_wait(&let_go) == 0);
    CHECK0(pthread_mutex_unlock(&lock));
    return arg;
}

static void *wants(void *arg)
{
    CHECK0(pthread_mutex_lock(&lock));
    CHECK0(pthread_mutex_unlock(&lock));
    return arg;
}

static void *does_not_want(void *arg)
{
    for (int i = 0; i < 100; i++)
        sched_yield();
    return arg;
}

int main(void)
{
    pthread_t holder, wanting[50];
    CHECK(sem_init(&holder_inside, 0, 0) == 0 && sem_init(&let_go, 0, 0) == 0 && pipe(fds) == 0);
    holder = start(holds, NULL);
    CHECK(sem_wait(&holder_inside) == 0);
    for (int i = 0; i < 50; i++)
        wanting[i] = start(wants, NULL);
    for (int i = 0; i < 50; i++)
        join(start(does_not_want, NULL));
    puts("others ran");
    CHECK(write(fds[1], "x", 1) == 1);
    join(start(does_not_want, NULL));
    CHECK(sem_post(&let_go) == 0);
    for (int i = 0; i < 50; i++)
        join(wanting[i]);
    join(holder);
    puts("all had it");
    return 0;
}
