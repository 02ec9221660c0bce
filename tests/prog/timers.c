/* timers.c: POSIX timers that start a thread, signal the process or one thread; and alarm. */
#include "check.h"
#include <semaphore.h>
#include <signal.h>

static sem_t fired;
static pthread_t creator;
static volatile int alarms;

static void in_new_thread(union sigval value)
{
    CHECK(value.sival_int == 42 && !pthread_equal(pthread_self(), creator));
    CHECK(sem_post(&fired) == 0);
}

static void wait_fired(int times)
{
    for (int i = 0; i < times; i++)
        while (sem_wait(&fired) != 0)
            CHECK(errno == EINTR);
}

static void by_thread(void)
{
    struct sigevent event;
    struct itimerspec spec = {{0, 2 * NSEC_PER_MSEC}, {0, 2 * NSEC_PER_MSEC}};
    timer_t timer;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = in_new_thread;
    event.sigev_value.sival_int = 42;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    wait_fired(5);
    CHECK(timer_delete(timer) == 0);
    puts("timer in threads");
}

static void *by_signal(void *arg)
{
    struct sigevent event;
    struct itimerspec spec = {{0, 0}, {0, 2 * NSEC_PER_MSEC}};
    timer_t timer;
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN;
    event.sigev_value.sival_int = 7;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_TIMER && info.si_value.sival_int == 7);
    CHECK(timer_delete(timer) == 0);
    return arg;
}

static void on_alarm(int sig)
{
    CHECK(sig == SIGALRM);
    alarms++;
}

int main(void)
{
    struct sigaction action;
    sigset_t set;
    creator = pthread_self();
    CHECK(sem_init(&fired, 0, 0) == 0);
    by_thread();

    /* Blocked here, so that by_signal's thread is the only one that may take it. */
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    join(start(by_signal, NULL));
    puts("timer by signal");

    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    sigset_t with_alarm, without_alarm;
    sigemptyset(&with_alarm);
    sigaddset(&with_alarm, SIGALRM);
    CHECK0(pthread_sigmask(SIG_BLOCK, &with_alarm, &without_alarm));
    ualarm(5000, 0);
    while (!alarms)
        CHECK_ERRNO(sigsuspend(&without_alarm), EINTR);
    puts("alarm");
    return 0;
}
