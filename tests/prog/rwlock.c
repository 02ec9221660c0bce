/* rwlock.c: read-write locks with both preferences: readers together, writers alone, timed and try forms. */
#include "check.h"

static pthread_rwlock_t rw;
static long a, b;
static int readers_inside;
static pthread_barrier_t together;

static void *reader(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        CHECK0(pthread_rwlock_rdlock(&rw));
        long x = a;
        if (i % 16 == 0)
            sched_yield();
        CHECK(x == b && x == a);
        CHECK0(pthread_rwlock_unlock(&rw));
    }
    return NULL;
}

static void *writer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        CHECK0(pthread_rwlock_wrlock(&rw));
        a++;
        if (i % 16 == 0)
            sched_yield();
        b++;
        CHECK0(pthread_rwlock_unlock(&rw));
    }
    return NULL;
}

/* The barrier is passed only if all readers can be inside together. */
static void *reads_together(void *arg)
{
    (void)arg;
    CHECK0(pthread_rwlock_rdlock(&rw));
    __atomic_add_fetch(&readers_inside, 1, __ATOMIC_SEQ_CST);
    pthread_barrier_wait(&together);
    CHECK0(pthread_rwlock_unlock(&rw));
    return NULL;
}

static void *answers_when_written(void *arg)
{
    (void)arg;
    struct timespec when = deadline(CLOCK_REALTIME, 10);
    CHECK(pthread_rwlock_tryrdlock(&rw) == EBUSY);
    CHECK(pthread_rwlock_trywrlock(&rw) == EBUSY);
    CHECK(pthread_rwlock_timedrdlock(&rw, &when) == ETIMEDOUT);
    CHECK(now_ns(CLOCK_REALTIME) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    when = deadline(CLOCK_MONOTONIC, 10);
    CHECK(pthread_rwlock_clockwrlock(&rw, CLOCK_MONOTONIC, &when) == ETIMEDOUT);
    CHECK(now_ns(CLOCK_MONOTONIC) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    return NULL;
}

static void with_preference(int kind, const char *name)
{
    pthread_rwlockattr_t attr;
    pthread_t threads[12];
    CHECK0(pthread_rwlockattr_init(&attr));
    CHECK0(pthread_rwlockattr_setkind_np(&attr, kind));
    CHECK0(pthread_rwlock_init(&rw, &attr));
    a = b = 0;
    for (int i = 0; i < 12; i++)
        threads[i] = start(i % 3 ? reader : writer, NULL);
    for (int i = 0; i < 12; i++)
        join(threads[i]);

    readers_inside = 0;
    for (int i = 0; i < 8; i++)
        threads[i] = start(reads_together, NULL);
    for (int i = 0; i < 8; i++)
        join(threads[i]);

    CHECK0(pthread_rwlock_wrlock(&rw));
    CHECK(pthread_rwlock_wrlock(&rw) == EDEADLK);
    for (int i = 0; i < 4; i++)
        threads[i] = start(answers_when_written, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK0(pthread_rwlock_unlock(&rw));
    CHECK0(pthread_rwlock_destroy(&rw));
    printf("%s: written %ld, together %d\n", name, a, readers_inside);
}

int main(void)
{
    CHECK0(pthread_barrier_init(&together, NULL, 8));
    with_preference(PTHREAD_RWLOCK_PREFER_READER_NP, "readers first");
    with_preference(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP, "writers first");
    return 0;
}
