/* stress_timers.c: very many short sleeps and timeouts of all kinds: none ends early, none is forgotten. */
#include "futex.h"
#include "stress.h"
#include <poll.h>
#include <semaphore.h>

#define N 100

static sem_t never;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static uint32_t word;

static void by_cond(const struct timespec *when)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    CHECK0(pthread_mutex_lock(&mutex));
    int err;
    while ((err = pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, when)) == 0)
        ;
    CHECK(err == ETIMEDOUT);
    CHECK0(pthread_mutex_unlock(&mutex));
}

static void wait_once(uint32_t *state)
{
    int64_t ns = random_next(state) % 2000000;
    int64_t before = now_ns(CLOCK_MONOTONIC);
    struct timespec relative = timespec_of(ns), absolute = timespec_of(before + ns);
    switch (random_next(state) % 7) {
    case 0:
        CHECK(nanosleep(&relative, NULL) == 0);
        break;
    case 1:
        CHECK0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &absolute, NULL));
        break;
    case 2:
        CHECK_ERRNO(sem_clockwait(&never, CLOCK_MONOTONIC, &absolute), ETIMEDOUT);
        break;
    case 3:
        CHECK(pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &absolute) == ETIMEDOUT);
        break;
    case 4:
        CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &relative, NULL, 0), ETIMEDOUT);
        break;
    case 5:
        by_cond(&absolute);
        break;
    case 6:
        CHECK(ppoll(NULL, 0, &relative, NULL) == 0);
        break;
    }
    int64_t slept = now_ns(CLOCK_MONOTONIC) - before;
    CHECK(slept >= ns);
    CHECK(slept < ns + 30 * NSEC_PER_SEC);
}

static void *worker(void *arg)
{
    uint32_t state = stress_random((int)(intptr_t)arg);
    intptr_t count = 0;
    do {
        wait_once(&state);
        count++;
    } while (!stress_over());
    return (void *)count;
}

int main(int argc, char **argv)
{
    pthread_t threads[N];
    stress_begin(argc, argv, 300);
    CHECK(sem_init(&never, 0, 0) == 0);
    CHECK0(pthread_mutex_lock(&held));
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        CHECK((intptr_t)join(threads[i]) > 0);
    puts("none early");
    return 0;
}
