/* timer_storm.c: timers that expire faster than a signal can be delivered: as with the kernel, at most one signal of a timer is
 * pending, the timer goes on when it is taken, and a handler that runs with the signal blocked comes to its end. */
#include "check.h"
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define FAST 1000 /* ns */
#define ROUNDS 300

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static timer_t timer;
static atomic_int runs, nested, inside;
static atomic_llong missed;
static sigjmp_buf out;
static const struct itimerspec fast = {{0, FAST}, {0, FAST}}, off;

static void *nothing(void *arg)
{
    return arg;
}

static void set_handler(int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = fn;
    sa.sa_flags = SA_SIGINFO;
    CHECK(sigaction(sig, &sa, NULL) == 0);
}

static timer_t make(clockid_t clock, int sig, pid_t tid)
{
    struct sigevent ev;
    timer_t t;
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = tid ? SIGEV_THREAD_ID : SIGEV_SIGNAL;
    ev.sigev_signo = sig;
    ev.sigev_notify_thread_id = tid;
    ev.sigev_value.sival_int = 7;
    CHECK(timer_create(clock, &ev, &t) == 0);
    return t;
}

static void compute(void)
{
    for (volatile int i = 0; i < 2000; i++)
        ;
}

static void wait_runs(void)
{
    while (runs < ROUNDS)
        sleep_ms(1);
}

/* --- a handler that computes and makes calls --- */

static void busy(int sig, siginfo_t *info, void *uc)
{
    sigset_t pending;
    (void)uc;
    if (runs == ROUNDS)
        return;
    nested += inside++;
    CHECK(info->si_code == SI_TIMER && info->si_value.sival_int == 7);
    compute();
    CHECK(sigpending(&pending) == 0);
    int over = timer_getoverrun(timer);
    CHECK(over >= 0 && over == info->si_overrun);
    missed += over;
    (void)sig;
    if (++runs == ROUNDS)
        CHECK(timer_settime(timer, 0, &off, NULL) == 0);
    inside--;
}

static void in_handler(void)
{
    runs = nested = 0;
    missed = 0;
    set_handler(SIGRTMIN, busy);
    timer = make(CLOCK_MONOTONIC, SIGRTMIN, 0);
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    CHECK(timer_settime(timer, 0, &fast, NULL) == 0);
    wait_runs();
    int64_t all = (now_ns(CLOCK_MONOTONIC) - begin) / FAST;
    CHECK(missed > ROUNDS && missed <= all);
    CHECK(timer_delete(timer) == 0);
    printf("handler: %d nested\n", nested);
}

/* The same, started anew in the handler. */
static void rearm(int sig, siginfo_t *info, void *uc)
{
    struct itimerspec old;
    (void)sig, (void)info, (void)uc;
    if (runs == ROUNDS) /* it was under way when the timer was stopped */
        return;
    compute();
    runs++;
    CHECK(timer_settime(timer, 0, runs < ROUNDS ? &fast : &off, &old) == 0);
    CHECK(old.it_interval.tv_nsec == FAST && old.it_value.tv_sec == 0 && old.it_value.tv_nsec <= FAST);
}

static void rearmed(void)
{
    runs = 0;
    set_handler(SIGUSR1, rearm);
    timer = make(CLOCK_REALTIME, SIGUSR1, 0);
    CHECK(timer_settime(timer, 0, &fast, NULL) == 0);
    wait_runs();
    CHECK(timer_delete(timer) == 0);
    puts("rearmed");
}

/* --- blocked: one signal, with what it missed --- */

static void blocked(int sig)
{
    struct itimerspec slow = {{0, 1000000}, {0, 1000000}}, now;
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, sig);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    timer = make(CLOCK_MONOTONIC, sig, 0);
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    CHECK(timer_settime(timer, 0, &slow, NULL) == 0);
    sleep_ms(100);
    CHECK(timer_gettime(timer, &now) == 0);
    CHECK(now.it_interval.tv_nsec == 1000000 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec > 0 &&
          now.it_value.tv_nsec <= 1000000);
    /* Where the kernel's signal waits for a CPU itself, the next one tells the rest. */
    int64_t expired = 0;
    for (int n = 0; expired < 90; n++) {
        CHECK(n < 5);
        CHECK(sigwaitinfo(&set, &info) == sig);
        CHECK(info.si_code == SI_TIMER && timer_getoverrun(timer) == info.si_overrun);
        expired += 1 + info.si_overrun;
    }
    CHECK(timer_settime(timer, 0, &off, NULL) == 0);
    CHECK(timer_gettime(timer, &now) == 0 && now.it_value.tv_nsec == 0 && now.it_interval.tv_nsec == 0);
    int64_t most = (now_ns(CLOCK_MONOTONIC) - begin) / 1000000;
    struct timespec none = {0, 0};
    while (sigtimedwait(&set, &info, &none) == sig) /* one that came between */
        expired += 1 + info.si_overrun;
    CHECK(expired <= most + 1);
    CHECK(timer_settime(timer, 0, &fast, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(sigwaitinfo(&set, &info) == sig);
    CHECK(timer_delete(timer) == 0);
    while (sigtimedwait(&set, &info, &none) == sig)
        ;
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    puts("blocked");
}

/* --- a handler that is left by a jump --- */

static void jump(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)info, (void)uc;
    if (runs == ROUNDS)
        return;
    compute();
    if (++runs == ROUNDS)
        CHECK(timer_settime(timer, 0, &off, NULL) == 0);
    siglongjmp(out, 1);
}

static void jumps(void)
{
    runs = 0;
    set_handler(SIGRTMIN + 1, jump);
    timer = make(CLOCK_MONOTONIC, SIGRTMIN + 1, 0);
    sigsetjmp(out, 1);
    if (runs == 0)
        CHECK(timer_settime(timer, 0, &fast, NULL) == 0);
    if (runs < ROUNDS)
        wait_runs();
    CHECK(timer_delete(timer) == 0);
    puts("jumps");
}

/* --- each thread its own --- */

static _Thread_local timer_t own;
static _Thread_local volatile int mine;
static atomic_int strange;

static void for_me(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (mine == ROUNDS)
        return;
    if (info->si_timerid != (int)(intptr_t)own)
        strange++;
    compute();
    if (++mine == ROUNDS)
        CHECK(timer_settime(own, 0, &off, NULL) == 0);
}

static void *thread(void *arg)
{
    (void)arg;
    own = make(CLOCK_MONOTONIC, SIGRTMIN + 2, (pid_t)syscall(SYS_gettid));
    CHECK(timer_settime(own, 0, &fast, NULL) == 0);
    while (mine < ROUNDS)
        compute();
    CHECK(timer_delete(own) == 0);
    return NULL;
}

static void threads(void)
{
    pthread_t t[4];
    set_handler(SIGRTMIN + 2, for_me);
    for (int i = 0; i < 4; i++)
        t[i] = start(thread, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    printf("threads: %d for another\n", strange);
}

/* --- the process's interval timer, and what a child has of it --- */

static void forks(int sig, siginfo_t *info, void *uc)
{
    struct itimerval it;
    int status = 0;
    (void)sig, (void)info, (void)uc;
    if (runs == ROUNDS) /* it was pending when the timer was stopped */
        return;
    compute();
    CHECK(getitimer(ITIMER_REAL, &it) == 0 && it.it_interval.tv_usec == 1);
    runs++;
    if (runs % 100 == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(getitimer(ITIMER_REAL, &it) == 0 && it.it_interval.tv_usec == 0 && it.it_value.tv_usec == 0);
            compute();
            _exit(7);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    if (runs == ROUNDS) {
        memset(&it, 0, sizeof it);
        CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    }
}

static void interval(void)
{
    struct itimerval it = {{0, 1}, {0, 1}};
    runs = 0;
    set_handler(SIGALRM, forks);
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    wait_runs();
    puts("interval");
}

/* The new program has the timer, and the mask that it was started with. */
static char **argv0;

static void execs(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)info, (void)uc;
    compute();
    if (++runs == 50) {
        fflush(stdout);
        execl(argv0[0], argv0[0], "again", (char *)NULL);
        _exit(99);
    }
}

static void again(void)
{
    struct itimerval it, none = {{0, 0}, {0, 0}};
    sigset_t set, pending;
    siginfo_t info;
    CHECK(getitimer(ITIMER_REAL, &it) == 0 && it.it_interval.tv_usec == 1);
    CHECK0(pthread_sigmask(SIG_BLOCK, NULL, &set));
    CHECK(sigismember(&set, SIGALRM) == 1 && sigismember(&set, SIGUSR1) == 0 && sigismember(&set, SIGRTMIN) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    for (int i = 0; i < 50; i++)
        CHECK(sigwaitinfo(&set, &info) == SIGALRM);
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN) == 0);
    puts("exec");
}

int main(int argc, char **argv)
{
    argv0 = argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) {
        again();
        return 0;
    }
    join(start(nothing, NULL)); /* not the one thread of its process */
    in_handler();
    rearmed();
    blocked(SIGRTMIN + 3);
    blocked(SIGUSR2);
    jumps();
    threads();
    interval();
    struct itimerval it = {{0, 1}, {0, 1}};
    runs = 0;
    set_handler(SIGALRM, execs);
    CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
    for (;;)
        pause();
}
