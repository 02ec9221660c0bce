/* realtime.c: sigqueue keeps every real-time signal, in order, with its value; sigwaitinfo takes the lowest first. */
#include "check.h"
#include <signal.h>
#include <sys/syscall.h>

#define N 500

static volatile int got[3], bad;
static sigset_t all;

static void handler(int sig, siginfo_t *info, void *uc)
{
    int i = sig - SIGRTMIN;
    (void)uc;
    if (info->si_value.sival_int != got[i] || info->si_code != SI_QUEUE)
        bad++;
    got[i]++;
}

static void *waiter(void *arg)
{
    siginfo_t info;
    (void)arg;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 3; k++) {
            CHECK(sigwaitinfo(&all, &info) > 0);
            CHECK(info.si_signo == SIGRTMIN + info.si_value.sival_int / N);
        }
    return NULL;
}

static void *by_handler(void *arg)
{
    (void)arg;
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &all, NULL));
    while (got[0] + got[1] + got[2] < 3 * N)
        usleep(1000);
    CHECK0(pthread_sigmask(SIG_BLOCK, &all, NULL));
    printf("by handler %d %d %d, bad %d\n", got[0], got[1], got[2], bad);
    return NULL;
}

static void queue(int sig, int value)
{
    union sigval v;
    v.sival_int = value;
    while (sigqueue(getpid(), sig, v)) {
        CHECK(errno == EAGAIN);
        usleep(1000);
    }
}

int main(void)
{
    struct sigaction sa;
    siginfo_t info;
    struct timespec none = {0, 0}, little = {0, 20000000};
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO;
    sigemptyset(&all);
    for (int i = 0; i < 3; i++) {
        sigaddset(&all, SIGRTMIN + i);
        sigaction(SIGRTMIN + i, &sa, NULL);
    }
    CHECK0(pthread_sigmask(SIG_BLOCK, &all, NULL));
    pthread_t t = start(waiter, NULL);
    for (int i = 0; i < N; i++)
        for (int k = 2; k >= 0; k--)
            queue(SIGRTMIN + k, k * N + i);
    join(t);
    CHECK_ERRNO(sigtimedwait(&all, &info, &none), EAGAIN);
    CHECK_ERRNO(sigtimedwait(&all, &info, &little), EAGAIN);
    for (int k = 2; k >= 0; k--)
        for (int i = 0; i < 3; i++)
            queue(SIGRTMIN + k, 10 * k + i);
    for (int i = 0; i < 9; i++) {
        CHECK(sigtimedwait(&all, &info, &none) > 0);
        printf("%d:%d ", info.si_signo - SIGRTMIN, info.si_value.sival_int);
    }
    printf("\n");
    t = start(by_handler, NULL);
    for (int i = 0; i < N; i++)
        for (int k = 2; k >= 0; k--)
            queue(SIGRTMIN + k, i);
    join(t);
    union sigval v = {.sival_int = 7};
    t = start(waiter, NULL);
    CHECK0(pthread_sigqueue(t, SIGRTMIN, v));
    for (int i = 1; i < 3 * N; i++)
        queue(SIGRTMIN, 3);
    join(t);
    CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0x3ffffff0, SIGUSR1, &info) == -1 && errno == ESRCH);
    printf("done\n");
    return 0;
}
