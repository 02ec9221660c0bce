/* mutex_types.c: normal, recursive and error-checking mutexes: what each call answers. */
#include "check.h"

static pthread_mutex_t make(int type)
{
    pthread_mutex_t mutex;
    pthread_mutexattr_t attr;
    CHECK0(pthread_mutexattr_init(&attr));
    CHECK0(pthread_mutexattr_settype(&attr, type));
    CHECK0(pthread_mutex_init(&mutex, &attr));
    pthread_mutexattr_destroy(&attr);
    return mutex;
}

static void *try_it(void *arg)
{
    int err = pthread_mutex_trylock(arg);
    if (err == 0)
        CHECK0(pthread_mutex_unlock(arg));
    return (void *)(intptr_t)err;
}

static void *unlock_it(void *arg)
{
    return (void *)(intptr_t)pthread_mutex_unlock(arg);
}

static int in_thread(void *(*fn)(void *), pthread_mutex_t *mutex)
{
    return (int)(intptr_t)join(start(fn, mutex));
}

struct counter {
    pthread_mutex_t *mutex;
    long *count;
};

static void *count_up(void *arg)
{
    struct counter *c = arg;
    for (int i = 0; i < 20000; i++) {
        CHECK0(pthread_mutex_lock(c->mutex));
        ++*c->count;
        CHECK0(pthread_mutex_unlock(c->mutex));
    }
    return NULL;
}

static void contend(pthread_mutex_t *mutex, const char *name)
{
    pthread_t threads[8];
    long count = 0;
    struct counter c = {mutex, &count};
    for (int i = 0; i < 8; i++)
        threads[i] = start(count_up, &c);
    for (int i = 0; i < 8; i++)
        join(threads[i]);
    printf("%s: %ld\n", name, count);
}

int main(void)
{
    static pthread_mutex_t normal, recursive, checked, adaptive;
    normal = make(PTHREAD_MUTEX_NORMAL);
    recursive = make(PTHREAD_MUTEX_RECURSIVE);
    checked = make(PTHREAD_MUTEX_ERRORCHECK);
    adaptive = make(PTHREAD_MUTEX_ADAPTIVE_NP);

    CHECK0(pthread_mutex_lock(&normal));
    CHECK(in_thread(try_it, &normal) == EBUSY);
    CHECK0(pthread_mutex_unlock(&normal));
    CHECK(in_thread(try_it, &normal) == 0);

    for (int i = 0; i < 5; i++)
        CHECK0(pthread_mutex_lock(&recursive));
    CHECK0(pthread_mutex_trylock(&recursive));
    CHECK(in_thread(unlock_it, &recursive) == EPERM);
    for (int i = 0; i < 6; i++) {
        CHECK(in_thread(try_it, &recursive) == EBUSY);
        CHECK0(pthread_mutex_unlock(&recursive));
    }
    CHECK(in_thread(try_it, &recursive) == 0);
    CHECK(pthread_mutex_unlock(&recursive) == EPERM);

    CHECK0(pthread_mutex_lock(&checked));
    CHECK(pthread_mutex_lock(&checked) == EDEADLK);
    CHECK(pthread_mutex_trylock(&checked) == EBUSY);
    CHECK(in_thread(unlock_it, &checked) == EPERM);
    CHECK0(pthread_mutex_unlock(&checked));
    CHECK(pthread_mutex_unlock(&checked) == EPERM);

    contend(&normal, "normal");
    contend(&recursive, "recursive");
    contend(&checked, "error-checking");
    contend(&adaptive, "adaptive");

    CHECK0(pthread_mutex_lock(&normal));
    CHECK(pthread_mutex_destroy(&normal) == EBUSY);
    CHECK0(pthread_mutex_unlock(&normal));
    CHECK0(pthread_mutex_destroy(&normal));
    CHECK0(pthread_mutex_destroy(&recursive));
    CHECK0(pthread_mutex_destroy(&checked));
    return 0;
}
