/*
 * stress_phases.c: two threads that hand off to each other for some milliseconds, then many that all have something to do, and
 * so on: what the scheduler made of the one kind of program must not hurt the other.
 *
 * Hand-offs go by a condition variable, two semaphores or a futex; then all threads count under a mutex, a read-write lock and
 * in a semaphore, some of them after a sleep or a system call that blocks. A lost wake-up makes it hang, an instruction
 * that is not atomic makes a sum wrong.
 */
#include "futex.h"
#include "stress.h"
#include <semaphore.h>
#include <stdatomic.h>

#define N 6

static pthread_barrier_t barrier;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t mine[2], posted;
static int turn, over, way;
static long handed, counted, written, posts;
static int64_t until;
static atomic_uint word;

static void by_cond(int me)
{
    CHECK0(pthread_mutex_lock(&lock));
    while (turn != me)
        CHECK0(pthread_cond_wait(&changed, &lock));
    handed++;
    turn = !me;
    CHECK0(pthread_cond_signal(&changed));
    CHECK0(pthread_mutex_unlock(&lock));
}

static void by_semaphore(int me)
{
    while (sem_wait(&mine[me]) != 0)
        CHECK(errno == EINTR);
    handed++;
    CHECK(sem_post(&mine[!me]) == 0);
}

static void by_futex(int me)
{
    uint32_t now;
    while ((now = atomic_load(&word)) % 2 != (uint32_t)me)
        futex(&word, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    handed++;
    atomic_store(&word, now + 1);
    futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Both hand off equally often: the first says after which round it is over. */
static void hand_off(int me)
{
    static void (*const ways[])(int) = {by_cond, by_semaphore, by_futex};
    for (int last = 0; !last;) {
        for (int i = 0; i < 50; i++)
            ways[way](me);
        if (me == 0)
            over = now_ns(CLOCK_MONOTONIC) >= until;
        ways[way](me);
        last = over;
        ways[way](me);
    }
}

static void work(uint32_t *state)
{
    for (int i = 0; i < 200; i++) {
        CHECK0(pthread_mutex_lock(&lock));
        counted++;
        CHECK0(pthread_mutex_unlock(&lock));
        CHECK0(pthread_rwlock_wrlock(&rwlock));
        written++;
        CHECK0(pthread_rwlock_unlock(&rwlock));
        CHECK(sem_post(&posted) == 0);
        if (i % 16 == 0)
            stress_pause(state);
    }
}

static void *run(void *arg)
{
    int me = (int)(intptr_t)arg;
    uint32_t state = stress_random(me);
    for (;;) {
        pthread_barrier_wait(&barrier);
        if (!until)
            return NULL;
        if (me < 2)
            hand_off(me);
        else if (me == 2)
            stress_pause(&state);
        pthread_barrier_wait(&barrier);
        work(&state);
        pthread_barrier_wait(&barrier);
    }
}

int main(int argc, char **argv)
{
    pthread_t threads[N];
    int value, phases = 0;
    stress_begin(argc, argv, 1000);
    uint32_t state = stress_random(N);
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    CHECK(sem_init(&mine[0], 0, 1) == 0 && sem_init(&mine[1], 0, 0) == 0 && sem_init(&posted, 0, 0) == 0);
    for (int i = 0; i < N; i++)
        threads[i] = start(run, (void *)(intptr_t)i);
    do { /* one at least, however long the machine stood still before */
        way = (int)(random_next(&state) % 3);
        until = now_ns(CLOCK_MONOTONIC) + (int64_t)(random_next(&state) % 25) * NSEC_PER_MSEC;
        for (int i = 0; i < 3; i++)
            pthread_barrier_wait(&barrier);
        posts += N * 200;
        CHECK(counted == posts && written == posts);
        CHECK(sem_getvalue(&posted, &value) == 0 && value == posts);
        phases++;
    } while (!stress_over());
    until = 0;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(phases > 0 && handed > 0);
    printf("every count right\n");
    return 0;
}
