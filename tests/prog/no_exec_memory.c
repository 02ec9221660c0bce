/* no_exec_memory.c: a program that has given up the right to make memory executable, as daemons do that systemd runs with
 * MemoryDenyWriteExecute: its threads are the kernel's. Linux before 6.3 does not know the call, and nothing is given up. */
#include "check.h"
#include <sys/prctl.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static void *run(void *arg)
{
    return arg;
}

int main(void)
{
    if (prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0)
        fprintf(stderr, "preloom: this process may not make memory executable; running on kernel threads\n");
    join(start(run, NULL));
    printf("done\n");
    return 0;
}
