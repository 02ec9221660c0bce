/* spin_flag.c: threads that spin on a flag without any call are preempted, so that the one that sets it can run. */
#include "check.h"

#define N 6
#define ROUNDS 2

static volatile int token;

static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(&token, __ATOMIC_ACQUIRE) % N != me)
            ;
        __atomic_add_fetch(&token, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    printf("token %d\n", token);
    return 0;
}
