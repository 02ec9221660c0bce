/* stops.c: a process that stops itself has stopped when the call returns, on whichever kernel thread it was made; and goes
 * on when told to. */
#include "../prog/check.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void *busy(void *arg)
{
    for (int i = 0; i < 100000; i++)
        usleep(50);
    return arg;
}

static void child(int how)
{
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    for (int i = 0; i < 4; i++)
        start(busy, NULL);
    for (int i = 0; i < 20; i++)
        usleep(10);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGSTOP);
    switch (how) {
    case 0: kill(getpid(), SIGSTOP); break;
    case 1: raise(SIGSTOP); break;
    case 2: /* blocked for a while, so that it is no longer the kernel's business alone */
        sigaddset(&s, SIGTTIN);
        CHECK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
        raise(SIGTTIN);
        CHECK0(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
        break;
    }
    _exit(7);
}

static void once(int how)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        child(how);
    CHECK(pid > 0 && waitpid(pid, &status, WUNTRACED) == pid);
    if (!WIFSTOPPED(status)) {
        printf("way %d: not stopped: %x\n", how, status);
        return;
    }
    CHECK(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* SIGTTIN does not stop a process of an orphaned group: this one has a parent outside it. */
static void all(void)
{
    CHECK(setpgid(0, 0) == 0);
    for (int i = 0; i < 120; i++)
        once(i % 3);
    fflush(stdout);
    _exit(0);
}

int main(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        all();
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    puts("done");
    return 0;
}
