/* exec_fails.c: what is pending before an exec that fails is pending after it, once, where it was: for a signalfd, for the
 * thread, for the process. */
#include "check.h"
#include <signal.h>
#include <sys/signalfd.h>

static void *nothing(void *arg)
{
    return arg;
}

static int times(int sig)
{
    struct timespec none = {0, 0};
    siginfo_t info;
    sigset_t set;
    int n = 0;
    sigemptyset(&set);
    sigaddset(&set, sig);
    while (sigtimedwait(&set, &info, &none) == sig)
        n++;
    return n;
}

static void *other(void *arg)
{
    printf("another thread: %d %d %d\n", times(SIGUSR2), times(SIGRTMIN), times(SIGRTMIN + 1));
    return arg;
}

int main(void)
{
    char *argv[] = {"x", NULL};
    struct signalfd_siginfo got;
    sigset_t set, fd_set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    fd_set = set;
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    join(start(nothing, NULL));
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    int fd = signalfd(-1, &fd_set, SFD_NONBLOCK);
    CHECK(fd >= 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK0(pthread_kill(pthread_self(), SIGUSR2));
    for (int i = 0; i < 3; i++)
        CHECK0(pthread_sigqueue(pthread_self(), SIGRTMIN, (union sigval){.sival_int = i}));
    CHECK(kill(getpid(), SIGRTMIN + 1) == 0);
    for (int i = 0; i < 3; i++)
        CHECK_ERRNO(execv("/nonexistent/program", argv), ENOENT);
    CHECK(read(fd, &got, sizeof got) == sizeof got && got.ssi_signo == SIGUSR1);
    CHECK_ERRNO(read(fd, &got, sizeof got), EAGAIN);
    join(start(other, NULL));
    printf("this thread: %d %d %d\n", times(SIGUSR2), times(SIGRTMIN), times(SIGRTMIN + 1));
    return 0;
}
