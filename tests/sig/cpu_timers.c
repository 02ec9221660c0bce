/* cpu_timers.c: timers of threads' CPU time in all their forms: of the thread's own clock and of another's, for a thread and for
 * the process; one-shot, periodic, absolute; what is left, overruns, a thread that spins and makes no call, one that
 * computes in short pieces, threads that end, and fork. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define MS NSEC_PER_MSEC

static atomic_int hits, overruns, strangers, values, stop;
static _Atomic int64_t hit_at; /* the CPU time of the thread that is measured, at the last signal */
static clockid_t measured_clock;
static _Thread_local int target;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (info->si_code != SI_TIMER)
        return;
    hit_at = now_ns(measured_clock);
    overruns += info->si_overrun;
    values += info->si_value.sival_int;
    strangers += !target;
    hits++;
}

static timer_t make(clockid_t clock, int notify, int value)
{
    struct sigevent ev;
    timer_t t;
    memset(&ev, 0, sizeof ev);
    ev.sigev_notify = notify;
    ev.sigev_signo = SIGUSR1;
    ev.sigev_value.sival_int = value;
    ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    CHECK(timer_create(clock, &ev, &t) == 0);
    hits = overruns = strangers = values = 0;
    return t;
}

static void set(timer_t t, int flags, int64_t value, int64_t interval)
{
    struct itimerspec s = { .it_value = timespec_of(value), .it_interval = timespec_of(interval) };
    CHECK(timer_settime(t, flags, &s, NULL) == 0);
}

static int64_t left(timer_t t)
{
    struct itimerspec s;
    CHECK(timer_gettime(t, &s) == 0);
    return s.it_value.tv_sec * NSEC_PER_SEC + s.it_value.tv_nsec;
}

/* No call, not even for the time. */
static void spin_until_hit(void)
{
    while (!hits)
        ;
}

static void burn(int64_t ns)
{
    int64_t begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) - begin < ns)
        ;
}

static void *spinner(void *arg)
{
    while (!stop)
        ;
    return arg;
}

static const char *in_time(int64_t late)
{
    return late < 0 ? "too early" : late > 30 * NSEC_PER_SEC ? "too late" : "in time";
}

/* The watchdog of a server: the process is told that one of its threads computes on and on. */
static void *watched(void *arg)
{
    clockid_t own;
    CHECK0(pthread_getcpuclockid(pthread_self(), &own));
    measured_clock = CLOCK_THREAD_CPUTIME_ID;
    target = 1;
    timer_t t = make(own, SIGEV_THREAD_ID, 7);
    int64_t begin = now_ns(own);
    set(t, 0, 50 * MS, 0);
    int64_t l = left(t);
    printf("left at first: %s\n", l <= 50 * MS && (l > 0 || now_ns(own) - begin >= 50 * MS) ? "right" : "wrong");
    spin_until_hit();
    printf("one shot: %s, value %d, strangers %d, left %d\n", in_time(hit_at - begin - 50 * MS), (int)values, (int)strangers, (int)left(t));

    begin = now_ns(own);
    hits = 0;
    set(t, TIMER_ABSTIME, begin + 20 * MS, 0);
    spin_until_hit();
    printf("absolute: %s\n", in_time(hit_at - begin - 20 * MS));
    hits = 0;
    set(t, TIMER_ABSTIME, 1, 0);
    printf("absolute and past: %d\n", (int)hits);
    begin = now_ns(own);
    hits = 0;
    set(t, 0, 5 * MS, 0);
    set(t, 0, 0, 0);
    int64_t used = now_ns(own) - begin; /* the CPU may have been taken away just there */
    burn(30 * MS);
    printf("taken back: %s, left %d\n", hits && used < 5 * MS ? "no" : "yes", (int)left(t));
    CHECK(timer_delete(t) == 0);
    CHECK_ERRNO(timer_delete(t), EINVAL);
    return arg;
}

/* Blocked meanwhile: one signal, and the rest as its overruns. Whoever sees that time is used up may be on a CPU that stands still:
 * then it comes later. */
static void *periodic(void *arg)
{
    sigset_t s;
    target = 1;
    timer_t t = make(CLOCK_THREAD_CPUTIME_ID, SIGEV_THREAD_ID, 0);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    CHECK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    int64_t begin = now_ns(CLOCK_THREAD_CPUTIME_ID), end;
    set(t, 0, 10 * MS, 10 * MS);
    burn(105 * MS);
    sleep_ms(30);
    int64_t l = left(t);
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
    for (int i = 0; i < 30000 && overruns + hits < 8; i++)
        sleep_ms(1);
    int n = overruns + hits, o = timer_getoverrun(t), once = hits == 1;
    int64_t all_ticks = (now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (10 * MS);
    printf("blocked: %s, left %s\n", n >= 8 && n <= all_ticks && (!once || o == n - 1) ? "one signal, the rest overruns" : "wrong",
           l > 0 && l <= 10 * MS ? "right" : "wrong");
    for (int more = hits + 10; hits < more;)
        ;
    end = now_ns(CLOCK_THREAD_CPUTIME_ID);
    printf("spinning: %s\n", hits + overruns <= (end - begin) / (10 * MS) + 1 ? "one for each interval" : "too many");
    set(t, 0, 0, 0);
    hits = 0;
    begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
    set(t, 0, 40 * MS, 0);
    sleep_ms(150);
    printf("asleep: %s\n", hits && now_ns(CLOCK_THREAD_CPUTIME_ID) - begin < 40 * MS ? "expired" : "not expired");
    begin = now_ns(CLOCK_MONOTONIC);
    for (int i = 0; !hits && now_ns(CLOCK_MONOTONIC) - begin < 60 * NSEC_PER_SEC; i++) {
        burn(MS / 5);
        struct timespec ts = timespec_of(MS / 5);
        nanosleep(&ts, NULL);
    }
    printf("in pieces: %d\n", (int)hits);
    CHECK(timer_delete(t) == 0);
    return arg;
}

/* Of another thread, for the process; the others sleep or compute, too. */
static void of_another(void)
{
    pthread_t s = start(spinner, NULL);
    CHECK0(pthread_getcpuclockid(s, &measured_clock));
    timer_t t = make(measured_clock, SIGEV_SIGNAL, 3), none = make(measured_clock, SIGEV_NONE, 0);
    struct itimerspec spec, long_time = { .it_value = { 1000, 0 } };
    int64_t begin = now_ns(measured_clock);
    set(t, 0, 50 * MS, 0);
    set(none, 0, 1000 * NSEC_PER_SEC, 0);
    while (!hits)
        sleep_ms(1);
    printf("of another: %s, value %d\n", in_time(hit_at - begin - 50 * MS), (int)values);
    CHECK(timer_settime(none, 0, &long_time, &spec) == 0);
    printf("without a signal: %s\n", spec.it_value.tv_sec < 1000 && spec.it_value.tv_sec > 0 ? "counts" : "wrong");
    hits = 0;
    set(t, 0, 5 * MS, 5 * MS);
    while (hits < 5)
        sleep_ms(1);
    stop = 1;
    join(s);
    for (int i = 0; i < 100 && (i == 0 || hits); i++) { /* one may be under way */
        hits = 0;
        sleep_ms(50);
    }
    printf("after its end: %d, left %d\n", (int)hits, (int)left(t));
    CHECK_ERRNO(timer_settime(t, 0, &long_time, NULL), ESRCH);
    CHECK(timer_delete(t) == 0 && timer_delete(none) == 0);
    stop = 0;
}

static void *forks(void *arg)
{
    target = 1;
    measured_clock = CLOCK_THREAD_CPUTIME_ID;
    timer_t t = make(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, 0);
    set(t, 0, 10 * MS, 10 * MS);
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct itimerspec s;
        hits = 0;
        burn(50 * MS);
        int gone = timer_gettime(t, &s) != 0 && errno == EINVAL;
        int inherited = hits;
        t = make(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, 0);
        set(t, 0, 10 * MS, 0);
        spin_until_hit();
        _exit(gone && !inherited ? 0 : 1);
    }
    CHECK(child > 0);
    while (waitpid(child, &status, 0) != child)
        CHECK(errno == EINTR);
    CHECK(timer_delete(t) == 0);
    printf("in a child: %d\n", status);
    return arg;
}

static void errors(void)
{
    timer_t t = make(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, 0);
    struct itimerspec bad = { .it_value = { 0, 1000000000 } };
    struct sigevent ev;
    CHECK_ERRNO(timer_settime(t, 0, &bad, NULL), EINVAL);
    CHECK(timer_getoverrun(t) == 0 && left(t) == 0);
    CHECK(timer_delete(t) == 0);
    memset(&ev, 0, sizeof ev);
    ev.sigev_signo = 65;
    CHECK_ERRNO(timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &t), EINVAL);
}

int main(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_signal;
    sa.sa_flags = SA_SIGINFO | SA_RESTART;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    join(start(watched, NULL));
    join(start(periodic, NULL));
    of_another();
    pthread_t others[2] = { start(spinner, NULL), start(spinner, NULL) };
    join(start(watched, NULL));
    stop = 1;
    join(others[0]);
    join(others[1]);
    join(start(forks, NULL));
    errors();
    return 0;
}
