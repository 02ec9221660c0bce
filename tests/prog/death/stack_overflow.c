/* stack_overflow.c: a thread that runs over the end of its stack meets the guard page. */
#include "../check.h"
#include <sched.h>

static volatile int deeper = 1;

static __attribute__((noinline)) int overflow(void)
{
    volatile char frame[1024];
    frame[0] = 1;
    return (deeper ? overflow() : 0) + frame[0];
}

static void *worker(void *arg)
{
    sched_yield();
    return (void *)(intptr_t)(overflow() + (arg != NULL));
}

int main(void)
{
    puts("about to overflow");
    fflush(stdout);
    join(start(worker, NULL));
    puts("not reached");
    return 0;
}
