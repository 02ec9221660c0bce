/* killed_hard.c: SIGKILL to its own process, from a thread. */
#include "../check.h"
#include <signal.h>

static void *worker(void *arg)
{
    kill(getpid(), SIGKILL);
    sleep_ms(60000);
    return arg;
}

int main(void)
{
    join(start(worker, NULL));
    return 0;
}
