/* spinlock.c: spin locks: whoever spins must not keep the owner from running. */
#include "check.h"

static pthread_spinlock_t spin;
static long count;

static void *worker(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        CHECK0(pthread_spin_lock(&spin));
        long seen = count;
        if (i % 100 == 0)
            sched_yield(); /* leaves the others spinning */
        count = seen + 1;
        CHECK0(pthread_spin_unlock(&spin));
    }
    return NULL;
}

static void *tries(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)pthread_spin_trylock(&spin);
}

int main(void)
{
    pthread_t threads[6];
    CHECK0(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
    for (int i = 0; i < 6; i++)
        threads[i] = start(worker, NULL);
    for (int i = 0; i < 6; i++)
        join(threads[i]);
    printf("count %ld\n", count);
    CHECK0(pthread_spin_lock(&spin));
    CHECK((int)(intptr_t)join(start(tries, NULL)) == EBUSY);
    CHECK0(pthread_spin_unlock(&spin));
    CHECK0(pthread_spin_destroy(&spin));
    return 0;
}
