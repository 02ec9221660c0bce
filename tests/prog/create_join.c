/* create_join.c: threads return values by return and by pthread_exit, joins happen in any order. */
#include "check.h"

#define N 64

static void *by_return(void *arg)
{
    return (void *)((intptr_t)arg * 3);
}

static __attribute__((noinline)) void leave(void *value)
{
    pthread_exit(value);
}

static void *by_exit(void *arg)
{
    leave((void *)((intptr_t)arg * 5));
    return NULL;
}

static void *makes_another(void *arg)
{
    return (char *)join(start(by_return, arg)) + 1;
}

static void *joins_itself(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)pthread_join(pthread_self(), NULL);
}

static void *joins_main(void *arg)
{
    void *result;
    CHECK0(pthread_join(*(pthread_t *)arg, &result));
    printf("main ended with %d\n", (int)(intptr_t)result);
    exit(0);
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(i % 2 ? by_return : by_exit, (void *)i);
    intptr_t sum = 0;
    for (int i = N - 1; i >= 0; i--) {
        intptr_t value = (intptr_t)join(threads[i]);
        CHECK(value == i * (i % 2 ? 3 : 5));
        sum += value;
    }
    printf("sum %ld\n", (long)sum);
    printf("nested %ld\n", (long)(intptr_t)join(start(makes_another, (void *)7)));
    printf("joins itself: %s\n", strerror((int)(intptr_t)join(start(joins_itself, NULL))));
    CHECK(pthread_equal(pthread_self(), pthread_self()));

    pthread_t tried = start(by_return, (void *)1);
    void *result = NULL;
    int err;
    while ((err = pthread_tryjoin_np(tried, &result)) == EBUSY)
        sched_yield();
    CHECK0(err);
    CHECK(result == (void *)3);

    static pthread_t self;
    self = pthread_self();
    start(joins_main, &self);
    pthread_exit((void *)42);
}
