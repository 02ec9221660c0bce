/* wired_calls.c: threads that changed what belongs to a thread alone come back from blocking calls, alone and beside others. */
#include "check.h"
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define N 300

static void *worker(void *arg)
{
    setfsuid(geteuid());
    for (int i = 0; i < N; i++) {
        pid_t child = vfork();
        if (child == 0)
            _exit(7);
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    }
    return arg;
}

int main(void)
{
    pthread_t threads[3];
    join(start(worker, NULL));
    worker(NULL);
    for (int i = 0; i < 3; i++)
        threads[i] = start(worker, NULL);
    worker(NULL);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    printf("%d children\n", 6 * N);
    return 0;
}
