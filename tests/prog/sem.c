/* sem.c: unnamed and named semaphores, timed waits, and hand-off in both directions. */
#include "check.h"
#include <fcntl.h>
#include <semaphore.h>

#define ROUNDS 5000

static sem_t ping, pong;
static int value;

static void *echo(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(sem_wait(&ping) == 0);
        CHECK(value == 2 * i + 1);
        value++;
        CHECK(sem_post(&pong) == 0);
    }
    return NULL;
}

static void hand_off(void)
{
    CHECK(sem_init(&ping, 0, 0) == 0 && sem_init(&pong, 0, 0) == 0);
    pthread_t thread = start(echo, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        value++;
        CHECK(sem_post(&ping) == 0);
        CHECK(sem_wait(&pong) == 0);
    }
    join(thread);
    printf("hand-offs: %d\n", value);
}

/* At most three are inside at any time. */
static sem_t places;
static int inside, most, entered;

static void *visitor(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        CHECK(sem_wait(&places) == 0);
        int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        CHECK(now <= 3);
        sched_yield();
        __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST);
        CHECK(sem_post(&places) == 0);
    }
    return NULL;
}

static void limited(void)
{
    pthread_t threads[30];
    CHECK(sem_init(&places, 0, 3) == 0);
    for (int i = 0; i < 30; i++)
        threads[i] = start(visitor, NULL);
    for (int i = 0; i < 30; i++)
        join(threads[i]);
    CHECK(sem_getvalue(&places, &most) == 0 && most == 3);
    printf("entered %d\n", entered);
}

static void *timed(void *arg)
{
    clockid_t clock = *(clockid_t *)arg;
    struct timespec when = deadline(clock, 20);
    int result = clock == CLOCK_REALTIME ? sem_timedwait(&ping, &when) : sem_clockwait(&ping, clock, &when);
    CHECK_ERRNO(result, ETIMEDOUT);
    CHECK(now_ns(clock) >= when.tv_sec * NSEC_PER_SEC + when.tv_nsec);
    when.tv_nsec = -1;
    CHECK_ERRNO(sem_timedwait(&ping, &when), EINVAL);
    return NULL;
}

static void timeouts(void)
{
    static clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    pthread_t threads[10];
    CHECK_ERRNO(sem_trywait(&ping), EAGAIN);
    for (int i = 0; i < 10; i++)
        threads[i] = start(timed, &clocks[i % 2]);
    for (int i = 0; i < 10; i++)
        join(threads[i]);
    puts("timed out");
}

static void *post_named(void *arg)
{
    sem_t *sem = sem_open(arg, 0);
    CHECK(sem != SEM_FAILED);
    for (int i = 0; i < 3; i++)
        CHECK(sem_post(sem) == 0);
    CHECK(sem_close(sem) == 0);
    return NULL;
}

static void named(void)
{
    char name[64];
    snprintf(name, sizeof name, "/preloom-test-%d", (int)getpid());
    sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
    CHECK(sem != SEM_FAILED);
    pthread_t thread = start(post_named, name);
    for (int i = 0; i < 3; i++)
        CHECK(sem_wait(sem) == 0);
    join(thread);
    CHECK_ERRNO(sem_trywait(sem), EAGAIN);
    CHECK(sem_close(sem) == 0 && sem_unlink(name) == 0);
    puts("named");
}

int main(void)
{
    hand_off();
    limited();
    timeouts();
    named();
    return 0;
}
