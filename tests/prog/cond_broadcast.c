/* cond_broadcast.c: a broadcast wakes all, a signal at least one, and a producer feeds many consumers without loss. */
#include "check.h"

#define N 50
#define ITEMS 5000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static int generation, waiting;

/* A barrier by hand: main broadcasts a new generation when all wait for it. */
static void *follower(void *arg)
{
    (void)arg;
    for (int seen = 0; seen < 50; seen++) {
        CHECK0(pthread_mutex_lock(&lock));
        if (++waiting == N)
            CHECK0(pthread_cond_signal(&arrived));
        while (generation == seen)
            CHECK0(pthread_cond_wait(&changed, &lock));
        CHECK(generation == seen + 1);
        CHECK0(pthread_mutex_unlock(&lock));
    }
    return NULL;
}

static int queue[16], head, tail;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;

static void put(int item)
{
    CHECK0(pthread_mutex_lock(&lock));
    while (tail - head == 16)
        CHECK0(pthread_cond_wait(&not_full, &lock));
    queue[tail++ % 16] = item;
    CHECK0(pthread_cond_signal(&not_empty));
    CHECK0(pthread_mutex_unlock(&lock));
}

static int get(void)
{
    CHECK0(pthread_mutex_lock(&lock));
    while (tail == head)
        CHECK0(pthread_cond_wait(&not_empty, &lock));
    int item = queue[head++ % 16];
    CHECK0(pthread_cond_signal(&not_full));
    CHECK0(pthread_mutex_unlock(&lock));
    return item;
}

static void *consumer(void *arg)
{
    (void)arg;
    intptr_t sum = 0;
    for (int item; (item = get()) != 0;)
        sum += item;
    return (void *)sum;
}

int main(void)
{
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(follower, NULL);
    for (int i = 0; i < 50; i++) {
        CHECK0(pthread_mutex_lock(&lock));
        while (waiting < N)
            CHECK0(pthread_cond_wait(&arrived, &lock));
        waiting = 0;
        generation++;
        CHECK0(pthread_cond_broadcast(&changed));
        CHECK0(pthread_mutex_unlock(&lock));
    }
    for (int i = 0; i < N; i++)
        join(threads[i]);
    printf("%d generations\n", generation);

    for (int i = 0; i < N; i++)
        threads[i] = start(consumer, NULL);
    for (int i = 1; i <= ITEMS; i++)
        put(i);
    for (int i = 0; i < N; i++)
        put(0);
    long sum = 0;
    for (int i = 0; i < N; i++)
        sum += (long)join(threads[i]);
    printf("consumed %ld\n", sum);
    return 0;
}
