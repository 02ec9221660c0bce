/* exec_beside.c: a thread's exec, which fails a few times first, while others begin to work. The kernel makes no threads while an
 * exec is under way; nobody is to hear of that, and all goes on. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ROUNDS 60

static char junk[] = "/tmp/exec_beside.XXXXXX";

static void *works(void *arg)
{
    for (int i = 0; i < 100; i++)
        usleep(i % 3 ? 0 : 20);
    return arg;
}

static void *executes(void *arg)
{
    for (int i = 0; i < 5; i++)
        CHECK_ERRNO(execl(junk, junk, (char *)NULL), ENOEXEC);
    execl("/bin/true", "true", (char *)NULL);
    CHECK(!"exec failed");
    return arg;
}

static void round_of_one(void)
{
    pthread_t t[5];
    for (int i = 0; i < 5; i++)
        t[i] = start(works, NULL);
    pthread_t e = start(executes, NULL);
    for (int i = 0; i < 5; i++)
        join(t[i]);
    join(e);
    _exit(1);
}

int main(void)
{
    int fd = mkstemp(junk), status;
    CHECK(fd >= 0 && write(fd, "\177junk", 5) == 5 && fchmod(fd, 0700) == 0 && close(fd) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            round_of_one();
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK(unlink(junk) == 0);
    puts("done");
    return 0;
}
