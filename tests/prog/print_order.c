/* print_order.c: ten threads print in a set order, each polling an atomic and sleeping one nanosecond. */
#include "check.h"

#define N 10
#define ROUNDS 20

static int next;

static void *printer(void *arg)
{
    int me = (int)(intptr_t)arg;
    const struct timespec one = {0, 1};
    for (int round = 0; round < ROUNDS; round++) {
        while (__atomic_load_n(&next, __ATOMIC_ACQUIRE) != round * N + me)
            nanosleep(&one, NULL);
        printf("%d%c", me, me == N - 1 ? '\n' : ' ');
        __atomic_add_fetch(&next, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = N - 1; i >= 0; i--)
        threads[i] = start(printer, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    return 0;
}
