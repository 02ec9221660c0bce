/* abort.c: abort in a thread ends the process by SIGABRT, while others run. */
#include "../check.h"

static void *sleeps(void *arg)
{
    sleep_ms(60000);
    return arg;
}

static void *worker(void *arg)
{
    sched_yield();
    abort();
    return arg;
}

int main(void)
{
    puts("about to abort");
    fflush(stdout);
    start(sleeps, NULL);
    join(start(worker, NULL));
    return 0;
}
