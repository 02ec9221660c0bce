/* deadlock_sleeper.c: everybody waits for ever, but one sleeps first: it is a deadlock only when that one waits too. */
#include "../check.h"
#include <semaphore.h>

static sem_t never;

static void *sleeps_then_waits(void *arg)
{
    sleep_ms(100);
    puts("slept");
    fflush(stdout);
    sem_wait(&never);
    return arg;
}

int main(void)
{
    CHECK(sem_init(&never, 0, 0) == 0);
    start(sleeps_then_waits, NULL);
    sem_wait(&never);
    return 0;
}
