/*
 * stress_locks.c: a random mix of mutexes, condition variables, semaphores, read-write locks and a hand-made futex lock.
 *
 * The threads take tokens and give them back by ways chosen at random, with and without timeouts. A lost wake-up makes it
 * hang; a lock that does not exclude makes a sum wrong.
 */
#include "futex.h"
#include "stress.h"
#include <semaphore.h>

#define N 24
#define TOKENS 3

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given_back = PTHREAD_COND_INITIALIZER;
static int tokens = TOKENS;

static sem_t permits;
static int permits_out;

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long left, right;

static uint32_t futex_lock; /* 0 free, 1 taken, 2 taken and waited for */
static long guarded;

static long done_guarded[N], done_written[N];

static void use_tokens(uint32_t *state)
{
    int timed = random_next(state) % 2, err = 0;
    struct timespec when = deadline(CLOCK_REALTIME, random_next(state) % 3);
    CHECK0(pthread_mutex_lock(&lock));
    while (tokens == 0 && err == 0)
        err = timed ? pthread_cond_timedwait(&given_back, &lock, &when) : pthread_cond_wait(&given_back, &lock);
    CHECK(err == 0 || err == ETIMEDOUT);
    int got = tokens > 0;
    if (got)
        tokens--;
    CHECK(tokens >= 0);
    CHECK0(pthread_mutex_unlock(&lock));
    if (!got)
        return;
    stress_pause(state);
    if (random_next(state) % 2) {
        CHECK0(pthread_mutex_lock(&lock));
    } else {
        when = deadline(CLOCK_REALTIME, 1);
        while ((err = pthread_mutex_timedlock(&lock, &when)) != 0) {
            CHECK(err == ETIMEDOUT);
            when = deadline(CLOCK_REALTIME, 1);
        }
    }
    CHECK(++tokens <= TOKENS);
    int all = random_next(state) % 4 == 0, inside = random_next(state) % 2;
    if (!inside)
        CHECK0(pthread_mutex_unlock(&lock));
    CHECK0(all ? pthread_cond_broadcast(&given_back) : pthread_cond_signal(&given_back));
    if (inside)
        CHECK0(pthread_mutex_unlock(&lock));
}

static void use_permits(uint32_t *state)
{
    if (random_next(state) % 2) {
        struct timespec when = deadline(CLOCK_MONOTONIC, random_next(state) % 3);
        if (sem_clockwait(&permits, CLOCK_MONOTONIC, &when) != 0) {
            CHECK(errno == ETIMEDOUT);
            return;
        }
    } else {
        CHECK(sem_wait(&permits) == 0);
    }
    CHECK(__atomic_add_fetch(&permits_out, 1, __ATOMIC_SEQ_CST) <= TOKENS);
    stress_pause(state);
    __atomic_sub_fetch(&permits_out, 1, __ATOMIC_SEQ_CST);
    CHECK(sem_post(&permits) == 0);
}

static void use_rwlock(uint32_t *state, int id)
{
    if (random_next(state) % 4) {
        CHECK0(pthread_rwlock_rdlock(&rwlock));
        long seen = left;
        stress_pause(state);
        CHECK(seen == left && left == right);
    } else {
        CHECK0(pthread_rwlock_wrlock(&rwlock));
        left++;
        stress_pause(state);
        right++;
        done_written[id]++;
    }
    CHECK0(pthread_rwlock_unlock(&rwlock));
}

static void use_futex(uint32_t *state, int id)
{
    uint32_t seen = 0;
    if (!__atomic_compare_exchange_n(&futex_lock, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        while (__atomic_exchange_n(&futex_lock, 2, __ATOMIC_ACQUIRE) != 0) {
            struct timespec timeout = {0, (long)(random_next(state) % 2000000)};
            futex(&futex_lock, FUTEX_WAIT_PRIVATE, 2, random_next(state) % 4 ? NULL : &timeout, NULL, 0);
        }
    }
    long before = guarded;
    stress_pause(state);
    guarded = before + 1;
    done_guarded[id]++;
    if (__atomic_exchange_n(&futex_lock, 0, __ATOMIC_RELEASE) == 2)
        CHECK(futex(&futex_lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
}

static void *worker(void *arg)
{
    int id = (int)(intptr_t)arg;
    uint32_t state = stress_random(id);
    do {
        switch (random_next(&state) % 4) {
        case 0:
            use_tokens(&state);
            break;
        case 1:
            use_permits(&state);
            break;
        case 2:
            use_rwlock(&state, id);
            break;
        case 3:
            use_futex(&state, id);
            break;
        }
    } while (!stress_over());
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[N];
    long sum_guarded = 0, sum_written = 0;
    int value;
    stress_begin(argc, argv, 300);
    CHECK(sem_init(&permits, 0, TOKENS) == 0);
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++) {
        join(threads[i]);
        sum_guarded += done_guarded[i];
        sum_written += done_written[i];
    }
    CHECK(tokens == TOKENS && sem_getvalue(&permits, &value) == 0 && value == TOKENS);
    CHECK(sum_guarded == guarded && sum_written == left && left == right && guarded > 0);
    puts("nothing lost");
    return 0;
}
