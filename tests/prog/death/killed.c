/* killed.c: a signal without handler ends the whole process, whichever thread it is sent to. */
#include "../check.h"
#include <signal.h>

static void *waits(void *arg)
{
    sleep_ms(60000);
    return arg;
}

int main(void)
{
    puts("about to be killed");
    fflush(stdout);
    pthread_t thread = start(waits, NULL);
    start(waits, NULL);
    sleep_ms(5);
    CHECK0(pthread_kill(thread, SIGTERM));
    sleep_ms(60000);
    return 0;
}
