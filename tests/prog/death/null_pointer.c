/* null_pointer.c: a thread writes to address zero. */
#include "../check.h"

static int *volatile nowhere;

static void *worker(void *arg)
{
    sched_yield();
    *nowhere = 1;
    return arg;
}

int main(void)
{
    puts("about to fault");
    fflush(stdout);
    join(start(worker, NULL));
    return 0;
}
