/* pi_mutex.c: mutexes with priority inheritance and protection exclude, time out, and work with condition variables. */
#include "check.h"

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long count;
static int tokens;

static void make(int protocol, int type)
{
    pthread_mutexattr_t attr;
    CHECK0(pthread_mutexattr_init(&attr));
    CHECK0(pthread_mutexattr_setprotocol(&attr, protocol));
    CHECK0(pthread_mutexattr_settype(&attr, type));
    CHECK0(pthread_mutex_init(&mutex, &attr));
    pthread_mutexattr_destroy(&attr);
}

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        CHECK0(pthread_mutex_lock(&mutex));
        long seen = count;
        if (i % 64 == 0)
            sched_yield();
        count = seen + 1;
        CHECK0(pthread_mutex_unlock(&mutex));
    }
    return NULL;
}

static void *times_out(void *arg)
{
    (void)arg;
    struct timespec when = deadline(CLOCK_REALTIME, 20);
    CHECK(pthread_mutex_trylock(&mutex) == EBUSY);
    CHECK(pthread_mutex_timedlock(&mutex, &when) == ETIMEDOUT);
    CHECK(now_ns(CLOCK_REALTIME) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    when = deadline(CLOCK_MONOTONIC, 10);
    CHECK(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &when) == ETIMEDOUT);
    CHECK(now_ns(CLOCK_MONOTONIC) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    return NULL;
}

static void *takes_token(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        CHECK0(pthread_mutex_lock(&mutex));
        while (tokens == 0)
            CHECK0(pthread_cond_wait(&cond, &mutex));
        tokens--;
        CHECK0(pthread_mutex_unlock(&mutex));
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[6];
    make(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ERRORCHECK);
    for (int i = 0; i < 6; i++)
        threads[i] = start(count_up, NULL);
    for (int i = 0; i < 6; i++)
        join(threads[i]);
    printf("count %ld\n", count);

    CHECK0(pthread_mutex_lock(&mutex));
    CHECK(pthread_mutex_lock(&mutex) == EDEADLK);
    for (int i = 0; i < 6; i++)
        threads[i] = start(times_out, NULL);
    for (int i = 0; i < 6; i++)
        join(threads[i]);
    CHECK0(pthread_mutex_unlock(&mutex));
    CHECK(pthread_mutex_unlock(&mutex) == EPERM);
    puts("timed out");

    for (int i = 0; i < 6; i++)
        threads[i] = start(takes_token, NULL);
    for (int i = 0; i < 6 * 200; i++) {
        CHECK0(pthread_mutex_lock(&mutex));
        tokens++;
        CHECK0(i % 5 ? pthread_cond_signal(&cond) : pthread_cond_broadcast(&cond));
        CHECK0(pthread_mutex_unlock(&mutex));
    }
    for (int i = 0; i < 6; i++)
        join(threads[i]);
    CHECK0(pthread_mutex_destroy(&mutex));
    printf("tokens left %d\n", tokens);
    return 0;
}
