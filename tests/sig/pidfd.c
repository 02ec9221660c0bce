/* pidfd.c: a signal sent through a pidfd, or a folder of /proc, to the own process is delivered before the call returns. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define N 200

static volatile sig_atomic_t hits;
static volatile int stop;

static void handler(int sig)
{
    (void)sig;
    hits++;
}

static void *parked(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!stop)
        usleep(500);
    return arg;
}

static long send_to(int fd, int sig, siginfo_t *info)
{
    return syscall(SYS_pidfd_send_signal, fd, sig, info, 0);
}

static void to_self(const char *what, int fd)
{
    CHECK(fd >= 0);
    CHECK(send_to(fd, 0, NULL) == 0);
    int before = hits;
    for (int i = 1; i <= N; i++) {
        CHECK(send_to(fd, SIGUSR1, NULL) == 0);
        CHECK(hits == before + i);
    }
    siginfo_t info = { 0 };
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    CHECK(send_to(fd, SIGUSR1, &info) == 0);
    CHECK(hits == before + N + 1);
    printf("%s: %d delivered at once\n", what, N + 1);
    close(fd);
}

int main(void)
{
    char path[32];
    pthread_t threads[3];
    signal(SIGUSR1, handler);
    for (int i = 0; i < 3; i++)
        threads[i] = start(parked, NULL);
    snprintf(path, sizeof path, "/proc/%d", getpid());
    to_self("folder", open(path, O_DIRECTORY));
    to_self("pidfd", (int)syscall(SYS_pidfd_open, getpid(), 0));

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pause();
        _exit(1);
    }
    int fd = (int)syscall(SYS_pidfd_open, child, 0), status;
    CHECK(fd >= 0 && send_to(fd, SIGKILL, NULL) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int own = open("/dev/null", O_RDONLY);
    CHECK_ERRNO((int)send_to(own, SIGUSR1, NULL), EBADF);
    stop = 1;
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    printf("child killed, wrong descriptor refused\n");
    return 0;
}
