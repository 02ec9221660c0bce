/*
 * bound_sleep.c: sleeps end although every kernel thread but one is in a call, and that one has always something to do.
 *
 * Under preloom it runs with as few kernel threads as may be. How late a sleep ended is told in CPU time of the process,
 * so that it does not matter how busy the machine is.
 */
#include "check.h"
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#define SLEEPERS 16
#define CALL_S 2

static int done;

static int is_done(void)
{
    return __atomic_load_n(&done, __ATOMIC_SEQ_CST);
}

static void *sleeper(void *arg)
{
    while (!is_done()) {
        int64_t before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        sleep_ms(5);
        CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 300 * NSEC_PER_MSEC);
    }
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
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf wait = { .sem_op = -1 };
    struct timespec most = { .tv_sec = CALL_S };
    sleep_ms(50);
    CHECK_ERRNO(semtimedop(id, &wait, 1, &most), EAGAIN);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
    return arg;
}

int main(void)
{
    pthread_t t[SLEEPERS + 3];
    for (int i = 0; i < SLEEPERS; i++)
        t[i] = start(sleeper, NULL);
    t[SLEEPERS] = start(busy, NULL);
    t[SLEEPERS + 1] = start(busy, NULL);
    t[SLEEPERS + 2] = start(blocked, NULL);
    for (int i = 0; i < SLEEPERS + 3; i++)
        join(t[i]);
    puts("done");
    return 0;
}
