/* exec_in_thread.c: exec from a secondary thread replaces the whole process, which keeps its id and its signal mask. */
#include "check.h"
#include <signal.h>

static char **program;

static void *sleeps(void *arg)
{
    sleep_ms(60000);
    return arg;
}

static void *executes(void *arg)
{
    char pid[32];
    sigset_t set;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK0(pthread_sigmask(SIG_SETMASK, &set, NULL));
    CHECK_ERRNO(execl("/nonexistent/program", "x", (char *)NULL), ENOENT);
    puts("about to exec");
    fflush(stdout);
    execl("/proc/self/exe", program[0], pid, (char *)NULL);
    CHECK(!"exec failed");
    return arg;
}

static void *after(void *arg)
{
    puts("a thread after exec");
    return arg;
}

int main(int argc, char **argv)
{
    program = argv;
    if (argc > 1) {
        sigset_t set;
        CHECK(atoi(argv[1]) == getpid() && gettid() == getpid());
        CHECK0(pthread_sigmask(SIG_SETMASK, NULL, &set));
        CHECK(sigismember(&set, SIGUSR2) == 1 && sigismember(&set, SIGUSR1) == 0);
        join(start(after, NULL));
        return 11;
    }
    for (int i = 0; i < 10; i++)
        start(sleeps, NULL);
    join(start(executes, NULL));
    return 1;
}
