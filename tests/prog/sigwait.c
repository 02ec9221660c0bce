/* sigwait.c: a dedicated thread takes the process's signals by sigwait, sigwaitinfo and sigtimedwait. */
#include "check.h"
#include <signal.h>

static sigset_t set;
static int total;

static void *waiter(void *arg)
{
    (void)arg;
    int sig, seen = 0;
    siginfo_t info;
    do {
        CHECK0(sigwait(&set, &sig));
        CHECK(sig == SIGUSR1 || sig == SIGTERM);
        seen++;
        __atomic_store_n(&total, seen, __ATOMIC_SEQ_CST);
    } while (sig != SIGTERM);

    CHECK(sigwaitinfo(&set, &info) == SIGUSR2 && info.si_code == SI_QUEUE && info.si_value.sival_int == 4711);
    CHECK(info.si_pid == getpid());

    int64_t before = now_ns(CLOCK_MONOTONIC);
    struct timespec timeout = {0, 20 * NSEC_PER_MSEC};
    CHECK_ERRNO(sigtimedwait(&set, &info, &timeout), EAGAIN);
    CHECK(now_ns(CLOCK_MONOTONIC) - before >= 20 * NSEC_PER_MSEC);
    return NULL;
}

static void *inherits_mask(void *arg)
{
    sigset_t mask;
    CHECK0(pthread_sigmask(SIG_SETMASK, NULL, &mask));
    CHECK(sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGINT));
    /* A signal to this thread alone stays pending here. */
    sigset_t pending;
    CHECK0(pthread_kill(pthread_self(), SIGUSR2));
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2));
    int sig;
    CHECK0(sigwait(&set, &sig));
    CHECK(sig == SIGUSR2);
    return arg;
}

int main(void)
{
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGTERM);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    join(start(inherits_mask, NULL));

    pthread_t thread = start(waiter, NULL);
    for (int i = 1; i <= 50; i++) {
        CHECK(kill(getpid(), SIGUSR1) == 0);
        while (__atomic_load_n(&total, __ATOMIC_SEQ_CST) < i)
            sched_yield();
    }
    CHECK0(pthread_kill(thread, SIGTERM));
    union sigval value = {.sival_int = 4711};
    CHECK(sigqueue(getpid(), SIGUSR2, value) == 0);
    join(thread);
    printf("taken %d\n", total);
    return 0;
}
