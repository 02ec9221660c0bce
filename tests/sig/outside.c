/* outside.c: signals from another process: handled, awaited, blocked everywhere, real-time with values. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define N 2000

static atomic_int hits, rt_hits, wrong;
static sigset_t block;

static void handler(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (info->si_code != SI_USER || info->si_pid != getppid())
        wrong++;
    hits++;
}

static void rt(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (info->si_code != SI_QUEUE)
        wrong++;
    rt_hits++;
}

static void *busy(void *arg)
{
    volatile unsigned long x = 0;
    (void)arg;
    while (rt_hits < N)
        x++;
    return NULL;
}

static void *parked(void *arg)
{
    (void)arg;
    while (rt_hits < N)
        usleep(2000);
    return NULL;
}

static void *server(void *arg)
{
    siginfo_t info;
    (void)arg;
    while (sigwaitinfo(&block, &info) != SIGTERM)
        ;
    printf("SIGTERM by sigwait\n");
    return NULL;
}

static void child(int out)
{
    struct sigaction sa;
    pthread_t t[5];
    memset(&sa, 0, sizeof sa);
    sa.sa_flags = SA_SIGINFO | SA_RESTART;
    sa.sa_sigaction = handler;
    sigaction(SIGUSR1, &sa, NULL);
    sa.sa_sigaction = rt;
    sigaction(SIGRTMIN + 5, &sa, NULL);
    sigaction(SIGRTMAX, &sa, NULL);
    CHECK0(pthread_sigmask(SIG_BLOCK, &block, NULL));
    for (int i = 0; i < 4; i++)
        t[i] = start(i & 1 ? busy : parked, NULL);
    t[4] = start(server, NULL);
    CHECK(write(out, "x", 1) == 1);
    for (int i = 0; i < 5; i++)
        join(t[i]);
    printf("usr1 %s, real-time %d, wrong %d\n", hits ? "yes" : "no", rt_hits, wrong);
    fflush(stdout);
    _exit(0);
}

int main(void)
{
    int fds[2], status;
    char c;
    CHECK(pipe(fds) == 0);
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGHUP);
    pid_t pid = fork();
    if (pid == 0)
        child(fds[1]);
    CHECK(read(fds[0], &c, 1) == 1);
    for (int i = 0; i < N; i++) {
        union sigval v = {.sival_int = i};
        kill(pid, SIGUSR1);
        if (i % 100 == 0)
            kill(pid, SIGHUP);
        while (sigqueue(pid, i % 2 ? SIGRTMIN + 5 : SIGRTMAX, v))
            CHECK(errno == EAGAIN);
    }
    kill(pid, SIGTERM);
    CHECK(waitpid(pid, &status, 0) == pid);
    printf("status %x\n", status);
    return 0;
}
