/* sigpipe.c: a thread that writes to a pipe without readers ends the process by SIGPIPE. */
#include "../check.h"

static void *worker(void *arg)
{
    int fds[2];
    CHECK(pipe(fds) == 0 && close(fds[0]) == 0);
    CHECK(write(fds[1], "x", 1) == 1);
    return arg;
}

int main(void)
{
    join(start(worker, NULL));
    return 0;
}
