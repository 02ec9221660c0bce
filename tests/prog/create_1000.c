/* create_1000.c: a thousand threads one after the other, then a thousand alive at once. */
#include "check.h"

#define N 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static int here;

static void *square(void *arg)
{
    intptr_t n = (intptr_t)arg;
    return (void *)(n * n);
}

/* Nobody leaves before everybody has come. */
static void *meet(void *arg)
{
    pthread_mutex_lock(&lock);
    if (++here == N)
        pthread_cond_broadcast(&all_here);
    while (here < N)
        pthread_cond_wait(&all_here, &lock);
    pthread_mutex_unlock(&lock);
    return square(arg);
}

int main(void)
{
    static pthread_t threads[N];
    long sum = 0;
    for (intptr_t i = 0; i < N; i++)
        sum += (long)join(start(square, (void *)i));
    printf("one after the other: %ld\n", sum);

    sum = 0;
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(meet, (void *)i);
    for (int i = 0; i < N; i++)
        sum += (long)join(threads[i]);
    printf("at once: %ld, met %d\n", sum, here);
    return 0;
}
