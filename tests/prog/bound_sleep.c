/*
 * bound_sleep.c: sleeps end although every kernel thread but one is in a call, and that one has always something to do.
 *
 * Under preloom it runs with as few kernel threads as may be. The call lasts until every sleeper has slept often beside it. How
 * late a sleep ended is told in CPU time of the process, so that it does not matter how busy the machine is; and some may be
 * late, since a CPU that stands still keeps those that run there while others go on.
 */
#include "check.h"
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#define SLEEPERS 16
#define OFTEN 100
#define LATE (300 * NSEC_PER_MSEC)
#define MOST_LATE (SLEEPERS * OFTEN / 10)
#define CALL_S 60

static int done, in_call, had_enough, late, id;

static int is_done(void)
{
    return __atomic_load_n(&done, __ATOMIC_SEQ_CST);
}

static void *sleeper(void *arg)
{
    for (int slept = 0; slept < OFTEN;) {
        int64_t before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        int beside = __atomic_load_n(&in_call, __ATOMIC_SEQ_CST);
        sleep_ms(5);
        if (now_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= LATE)
            __atomic_add_fetch(&late, 1, __ATOMIC_SEQ_CST);
        slept += beside;
    }
    if (__atomic_add_fetch(&had_enough, 1, __ATOMIC_SEQ_CST) == SLEEPERS)
        CHECK(semctl(id, 0, SETVAL, 1) == 0);
    return arg;
}

static void *busy(void *arg)
{
    uint32_t state = 1;
    while (!is_done()) {
        for (int i = 0; i < 100000; i++)
            random_next(&state);
        sched_yield();
    }
    return arg;
}

static void *blocked(void *arg)
{
    struct sembuf wait = { .sem_op = -1 };
    struct timespec most = { .tv_sec = CALL_S };
    sleep_ms(50);
    __atomic_store_n(&in_call, 1, __ATOMIC_SEQ_CST);
    CHECK(semtimedop(id, &wait, 1, &most) == 0);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
    return arg;
}

int main(void)
{
    pthread_t t[SLEEPERS + 3];
    CHECK((id = semget(IPC_PRIVATE, 1, 0600)) >= 0);
    for (int i = 0; i < SLEEPERS; i++)
        t[i] = start(sleeper, NULL);
    t[SLEEPERS] = start(busy, NULL);
    t[SLEEPERS + 1] = start(busy, NULL);
    t[SLEEPERS + 2] = start(blocked, NULL);
    for (int i = 0; i < SLEEPERS + 3; i++)
        join(t[i]);
    CHECK(late <= MOST_LATE);
    puts("done");
    return 0;
}
