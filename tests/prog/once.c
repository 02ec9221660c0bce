/* once.c: pthread_once runs its function once; the others wait for its end; a cancelled one is done again. */
#include "check.h"
#include <semaphore.h>

#define N 50

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_once_t stopped = PTHREAD_ONCE_INIT;
static int calls, finished, attempts;
static sem_t never, inside;

static void init(void)
{
    calls++;
    for (int i = 0; i < 20; i++)
        sched_yield();
    sleep_ms(2);
    __atomic_store_n(&finished, 1, __ATOMIC_SEQ_CST);
}

static void *worker(void *arg)
{
    (void)arg;
    CHECK0(pthread_once(&once, init));
    CHECK(__atomic_load_n(&finished, __ATOMIC_SEQ_CST) == 1);
    return NULL;
}

static void first_hangs(void)
{
    if (attempts++ == 0) {
        sem_post(&inside);
        sem_wait(&never);
    }
}

static void *calls_stopped(void *arg)
{
    pthread_once(&stopped, first_hangs);
    return arg;
}

int main(void)
{
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(worker, NULL);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    printf("calls %d\n", calls);

    sem_init(&never, 0, 0);
    sem_init(&inside, 0, 0);
    pthread_t first = start(calls_stopped, NULL);
    CHECK(sem_wait(&inside) == 0);
    pthread_t second = start(calls_stopped, &calls);
    CHECK0(pthread_cancel(first));
    CHECK(join(first) == PTHREAD_CANCELED);
    CHECK(join(second) == &calls);
    printf("attempts %d\n", attempts);
    return 0;
}
