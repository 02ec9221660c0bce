/* barrier.c: nobody passes a barrier early, and exactly one of each round is told that it is the serial one. */
#include "check.h"

#define N 20
#define ROUNDS 200

static pthread_barrier_t barrier;
static int arrived[ROUNDS], serial[ROUNDS];

static void *worker(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        __atomic_add_fetch(&arrived[i], 1, __ATOMIC_SEQ_CST);
        int result = pthread_barrier_wait(&barrier);
        CHECK(__atomic_load_n(&arrived[i], __ATOMIC_SEQ_CST) == N);
        if (result == PTHREAD_BARRIER_SERIAL_THREAD)
            __atomic_add_fetch(&serial[i], 1, __ATOMIC_SEQ_CST);
        else
            CHECK0(result);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    CHECK0(pthread_barrier_init(&barrier, NULL, N));
    for (int i = 0; i < N; i++)
        threads[i] = start(worker, NULL);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(serial[i] == 1);
    CHECK0(pthread_barrier_destroy(&barrier));
    printf("%d rounds of %d\n", ROUNDS, N);
    return 0;
}
