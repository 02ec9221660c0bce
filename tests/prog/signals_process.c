/* signals_process.c: handlers for signals to the process run once for each, in some thread that does not block them. */
#include "check.h"
#include <signal.h>
#include <sys/time.h>

static pthread_t only_one;
static int by_kill, by_timer, in_wrong_thread;

static void on_kill(int sig, siginfo_t *info, void *context)
{
    CHECK(sig == SIGUSR1 && info->si_pid == getpid() && context != NULL);
    if (!pthread_equal(pthread_self(), only_one))
        in_wrong_thread++;
    __atomic_add_fetch(&by_kill, 1, __ATOMIC_SEQ_CST);
}

static void on_timer(int sig)
{
    CHECK(sig == SIGALRM);
    __atomic_add_fetch(&by_timer, 1, __ATOMIC_SEQ_CST);
}

/* The only thread that does not block SIGUSR1. It spins: the handler must break into it. */
static void *takes_all(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    while (__atomic_load_n(&by_kill, __ATOMIC_SEQ_CST) < 20)
        ;
    return arg;
}

static void *waits_for_timer(void *arg)
{
    while (__atomic_load_n(&by_timer, __ATOMIC_SEQ_CST) < 10)
        sched_yield();
    return arg;
}

int main(void)
{
    struct sigaction action;
    sigset_t set;
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = on_kill;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action.sa_flags = SA_RESTART;
    action.sa_handler = on_timer;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    only_one = start(takes_all, NULL);
    for (int i = 1; i <= 20; i++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        while (__atomic_load_n(&by_kill, __ATOMIC_SEQ_CST) < i)
            sched_yield();
    }
    join(only_one);
    printf("by kill %d, in the wrong thread %d\n", by_kill, in_wrong_thread);

    struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    pthread_t thread = start(waits_for_timer, NULL);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    join(thread);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    puts("by timer");
    return 0;
}
