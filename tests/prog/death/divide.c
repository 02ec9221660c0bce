/* divide.c: an integer division by zero in a thread ends the process by SIGFPE. */
#include "../check.h"

static volatile int one = 1, zero;

static void *worker(void *arg)
{
    sched_yield();
    return (void *)(intptr_t)(one / zero + (arg != NULL));
}

int main(void)
{
    join(start(worker, NULL));
    return 0;
}
