/* parent_death.c: a process that asked to be told of its parent's death (PR_SET_PDEATHSIG) lives while the thread lives that made it,
 * also if another thread ends that has changed what belongs to its kernel thread.
 */
#include "check.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ROUNDS 3

static int told[2], stop[2];
static pid_t child;

static void *forks(void *arg)
{
    char c;
    child = fork();
    if (child == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        CHECK(write(told[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(child > 0);
    CHECK(read(stop[0], &c, 1) == 1);
    return arg;
}

static void *changes(void *arg)
{
    CHECK(syscall(SYS_setfsuid, geteuid()) >= 0);
    return arg;
}

static void once(void)
{
    char c;
    int status;
    CHECK(pipe(told) == 0 && pipe(stop) == 0);
    pthread_t forker = start(forks, NULL);
    CHECK(read(told[0], &c, 1) == 1);
    for (int i = 0; i < 4; i++)
        join(start(changes, NULL));
    sleep_ms(20);
    CHECK(waitpid(child, &status, WNOHANG) == 0);
    CHECK(write(stop[1], "x", 1) == 1);
    join(forker);
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
}

static int hold[2];

static void *rounds(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        once();
    CHECK(write(hold[1], "x", 1) == 1);
    return arg;
}

/* The main thread waits for a process meanwhile, so that others fork. */
int main(void)
{
    int status;
    char c;
    CHECK(pipe(hold) == 0);
    pid_t waited = fork();
    if (waited == 0)
        _exit(read(hold[0], &c, 1) == 1 ? 0 : 1);
    pthread_t t = start(rounds, NULL);
    CHECK(waitpid(waited, &status, 0) == waited && status == 0);
    join(t);
    puts("its maker lives");
    return 0;
}
