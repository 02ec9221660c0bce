/* exit_status.c: _exit in a thread gives its status, nothing else runs. */
#include "../check.h"

static void at_exit(void)
{
    puts("not reached");
}

static void *spins(void *arg)
{
    volatile int forever = 1;
    while (forever)
        ;
    return arg;
}

static void *worker(void *arg)
{
    _exit(113);
    return arg;
}

int main(void)
{
    atexit(at_exit);
    start(spins, NULL);
    join(start(worker, NULL));
    return 1;
}
