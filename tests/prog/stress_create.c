/* stress_create.c: threads made, joined, detached and left at random, by many threads at once, with stacks of many sizes. */
#include "stress.h"
#include <semaphore.h>

#define MAKERS 8

static long begun, ended;
static sem_t detached_ended;
static __thread int fresh = 31;

static void *child(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg;
    CHECK(fresh == 31);
    fresh = 0;
    __atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST);
    stress_pause(&state);
    if (state % 8 == 0)
        join(start(child, (void *)(uintptr_t)(state / 2 | 1)));
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
    return arg;
}

static void *leaves(void *arg)
{
    pthread_exit(child(arg));
}

static void *detached_child(void *arg)
{
    child(arg);
    CHECK(sem_post(&detached_ended) == 0);
    return NULL;
}

/* By itself: when somebody else detaches a thread that is just ending, glibc (2.36) may free its descriptor twice. Between its
 * mark and its look whether the thread has ended already, the descriptor may have become another thread's. */
static void *detaches(void *arg)
{
    CHECK0(pthread_detach(pthread_self()));
    return detached_child(arg);
}

static void *maker(void *arg)
{
    uint32_t state = stress_random((int)(intptr_t)arg);
    long detached = 0;
    do {
        pthread_attr_t attr;
        pthread_t threads[8];
        uintptr_t seeds[8];
        uint32_t n = 1 + random_next(&state) % 8;
        CHECK0(pthread_attr_init(&attr));
        if (random_next(&state) % 2)
            CHECK0(pthread_attr_setstacksize(&attr, (64u << 10) + (random_next(&state) % 16) * 65536));
        for (uint32_t i = 0; i < n; i++) {
            seeds[i] = random_next(&state) | 1;
            CHECK0(pthread_create(&threads[i], &attr, i % 2 ? leaves : child, (void *)seeds[i]));
        }
        if (random_next(&state) % 4 == 0) {
            pthread_t thread;
            int born = random_next(&state) % 2;
            CHECK0(pthread_attr_setdetachstate(&attr, born ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE));
            CHECK0(pthread_create(&thread, &attr, born ? detached_child : detaches, (void *)(uintptr_t)random_next(&state)));
            detached++;
        }
        for (uint32_t i = n; i-- > 0;)
            CHECK(join(threads[i]) == (void *)seeds[i]);
        pthread_attr_destroy(&attr);
    } while (!stress_over());
    return (void *)detached;
}

int main(int argc, char **argv)
{
    pthread_t threads[MAKERS];
    long detached = 0;
    stress_begin(argc, argv, 300);
    CHECK(sem_init(&detached_ended, 0, 0) == 0);
    for (intptr_t i = 0; i < MAKERS; i++)
        threads[i] = start(maker, (void *)i);
    for (int i = 0; i < MAKERS; i++)
        detached += (long)join(threads[i]);
    while (detached-- > 0)
        CHECK(sem_wait(&detached_ended) == 0);
    CHECK(begun > 0 && begun == ended);
    puts("all that began ended");
    return 0;
}
