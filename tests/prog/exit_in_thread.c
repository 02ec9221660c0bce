/* exit_in_thread.c: exit from a secondary thread ends the process at once, with its status and the atexit handlers. */
#include "check.h"

static void at_exit(void)
{
    puts("atexit ran");
}

static void *sleeps(void *arg)
{
    sleep_ms(60 * 1000);
    return arg;
}

static void *spins(void *arg)
{
    volatile int forever = 1;
    while (forever)
        ;
    return arg;
}

static void *exits(void *arg)
{
    (void)arg;
    puts("exit from a thread");
    exit(7);
}

int main(void)
{
    atexit(at_exit);
    for (int i = 0; i < 10; i++)
        start(sleeps, NULL);
    start(spins, NULL);
    start(exits, NULL);
    pause();
    return 1;
}
