/* timers.c: alarm, setitimer and POSIX timers with their ways to notify, in threads. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>

static atomic_int hits, wrong, notified;
static _Thread_local int mine;

static void handler(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc, (void)info;
    hits++;
}

static void for_me(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (!mine || info->si_code != SI_TIMER || info->si_value.sival_int != 42)
        wrong++;
    hits++;
}

static void notify(union sigval v)
{
    if (v.sival_int == 17)
        notified++;
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = fn;
    sa.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(sig, &sa, NULL);
}

static void wait_hits(int n)
{
    volatile unsigned spin = 0;
    while (hits < n)
        spin++;
    hits = 0;
}

static void *idle(void *arg)
{
    (void)arg;
    pause();
    return NULL;
}

static void *thread(void *arg)
{
    struct sigevent ev;
    struct itimerspec often = {{0, 3000000}, {0, 3000000}}, off = {{0, 0}, {0, 0}};
    timer_t t;
    (void)arg;
    mine = 1;
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = SIGEV_SIGNAL;
    ev.sigev_signo = SIGUSR1;
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &often, NULL) == 0);
    wait_hits(5);
    CHECK(timer_settime(t, 0, &off, NULL) == 0);
    CHECK(timer_delete(t) == 0);
    printf("SIGEV_SIGNAL\n");
    ev.sigev_notify = SIGEV_THREAD_ID;
    ev.sigev_signo = SIGRTMIN + 1;
    ev.sigev_value.sival_int = 42;
    ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &often, NULL) == 0);
    wait_hits(5);
    CHECK(timer_delete(t) == 0);
    printf("SIGEV_THREAD_ID, wrong %d\n", wrong);
    ev.sigev_notify = SIGEV_THREAD;
    ev.sigev_value.sival_int = 17;
    ev.sigev_notify_function = notify;
    ev.sigev_notify_attributes = NULL;
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &often, NULL) == 0);
    while (notified < 5)
        usleep(1000);
    CHECK(timer_delete(t) == 0);
    printf("SIGEV_THREAD\n");
    ev.sigev_notify = SIGEV_NONE;
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
    CHECK(timer_delete(t) == 0);
    return NULL;
}

int main(void)
{
    struct itimerval often = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
    install(SIGUSR1, handler);
    install(SIGALRM, handler);
    install(SIGVTALRM, handler);
    install(SIGPROF, handler);
    install(SIGRTMIN + 1, for_me);
    pthread_t t = start(idle, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    wait_hits(10);
    setitimer(ITIMER_REAL, &off, NULL);
    printf("ITIMER_REAL\n");
    setitimer(ITIMER_VIRTUAL, &often, NULL);
    wait_hits(5);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    printf("ITIMER_VIRTUAL\n");
    setitimer(ITIMER_PROF, &often, NULL);
    wait_hits(5);
    setitimer(ITIMER_PROF, &off, NULL);
    printf("ITIMER_PROF\n");
    alarm(1);
    wait_hits(1);
    printf("alarm\n");
    join(start(thread, NULL));
    CHECK0(pthread_kill(t, SIGUSR1));
    join(t);
    hits = 0;
    thread(NULL);
    return 0;
}
