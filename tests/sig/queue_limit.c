/* queue_limit.c: the limit on queued signals (RLIMIT_SIGPENDING): who is refused at it, what is lost in silence, and that nothing
 * is lost that was accepted; by process and by thread, with a fork in between, and from another process. */
#include "check.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define LIMIT 40
#define THREADS 10

static sigset_t all;
static pthread_barrier_t barrier;
static int accepted[THREADS], received[THREADS];

/* The kernel counts by user: a user of our own, if we may, or what others have queued would count too. */
static void own_user(void)
{
    if (geteuid() == 0)
        CHECK0(setresuid(2000000 + getpid(), 2000000 + getpid(), 2000000 + getpid()));
}

static void limit(rlim_t n)
{
    struct rlimit l;
    CHECK0(getrlimit(RLIMIT_SIGPENDING, &l));
    l.rlim_cur = n;
    CHECK0(setrlimit(RLIMIT_SIGPENDING, &l));
}

static int queue(int sig, int value)
{
    union sigval v = {.sival_int = value};
    return sigqueue(getpid(), sig, v) ? errno : 0;
}

static int to_self(int sig)
{
    return syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), sig) ? errno : 0;
}

static int take(siginfo_t *info)
{
    struct timespec none = {0, 0};
    memset(info, 0, sizeof *info);
    return sigtimedwait(&all, info, &none);
}

static int take_all(void)
{
    siginfo_t info;
    int n = 0;
    while (take(&info) > 0)
        n++;
    return n;
}

/* All that waits, in the order in which it is given out. */
static void show(const char *what, int want)
{
    siginfo_t info;
    int sig, last = -1, ordered = 1, n = 0;
    printf("%s:", what);
    while ((sig = take(&info)) > 0) {
        if (sig == SIGRTMIN && info.si_code == SI_QUEUE) {
            ordered &= info.si_value.sival_int > last;
            last = info.si_value.sival_int;
            n++;
            continue;
        }
        printf(" %d/%d%s", sig, info.si_code, info.si_code != SI_TIMER && info.si_pid == getpid() ? " mine" : "");
    }
    printf(", %s queued, %s\n", n == want ? "all" : "not all", ordered ? "in order" : "out of order");
}

static int fill(void)
{
    int n = 0, err;
    while ((err = queue(SIGRTMIN, n)) == 0 && n < 100000)
        n++;
    CHECK(err == EAGAIN);
    return n;
}

static void at_the_limit(void)
{
    timer_t t;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 4};
    struct itimerspec soon = {.it_value = {0, 1000000}};
    CHECK0(timer_create(CLOCK_MONOTONIC, &ev, &t));
    limit(LIMIT);
    int n = fill();
    CHECK(n == LIMIT || n == LIMIT - 1); /* the kernel counts the timer from the beginning */
    printf("refused: queue %d, to a thread %d, pthread_kill %d\n", queue(SIGRTMIN + 1, 0), to_self(SIGRTMIN + 1),
           pthread_kill(pthread_self(), SIGRTMIN + 1));
    printf("lost in silence: kill %d %d\n", kill(getpid(), SIGRTMIN + 2), kill(getpid(), SIGRTMIN + 2));
    printf("never refused: %d %d %d %d\n", queue(SIGUSR1, 7), to_self(SIGUSR2), kill(getpid(), SIGHUP), kill(getpid(), SIGHUP));
    CHECK0(timer_settime(t, 0, &soon, NULL));
    for (int i = 0; i < 10000 && sigpending(&all) == 0 && !sigismember(&all, SIGRTMIN + 4); i++)
        usleep(1000);
    printf("after the timer: %d\n", queue(SIGRTMIN, 0));
    siginfo_t info;
    CHECK(sigpending(&all) == 0);
    printf("pending %d %d %d %d %d %d\n", sigismember(&all, SIGRTMIN), sigismember(&all, SIGRTMIN + 1),
           sigismember(&all, SIGRTMIN + 2), sigismember(&all, SIGUSR1), sigismember(&all, SIGUSR2), sigismember(&all, SIGHUP));
    sigfillset(&all);
    show("at the limit", n);
    CHECK(take(&info) == -1);
    CHECK0(timer_delete(t));
}

static void changed(void)
{
    limit(0);
    printf("limit 0: queue %d, thread %d, kill %d, standard %d\n", queue(SIGRTMIN, 1), to_self(SIGRTMIN), kill(getpid(), SIGRTMIN),
           queue(SIGUSR1, 1));
    show("limit 0", 0);
    limit(LIMIT);
    fill();
    limit(LIMIT + 5);
    int more = fill();
    limit(3);
    printf("raised: %d more; lowered: %d\n", more, queue(SIGRTMIN, 1));
    printf("taken %d\n", take_all());
    printf("then %d\n", fill());
    CHECK(take_all() == 3);
    struct rlimit l = {LIMIT, LIMIT};
    CHECK0(prlimit(getpid(), RLIMIT_SIGPENDING, &l, NULL));
    printf("by prlimit %d\n", fill());
    CHECK(take_all() == LIMIT);
}

static void *target(void *arg)
{
    long i = (long)arg;
    siginfo_t info;
    for (int round = 0; round < 2; round++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        received[i] = 0;
        while (take(&info) > 0) {
            CHECK(info.si_signo == SIGRTMIN + 3 && info.si_value.sival_int == received[i]);
            received[i]++;
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void child_of_the_full(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        siginfo_t info;
        CHECK(take(&info) == -1);
        CHECK(kill(getpid(), SIGUSR1) == 0 && take(&info) == SIGUSR1);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(queue(SIGRTMIN, 0) == EAGAIN);
}

static void threads(void)
{
    pthread_t t[THREADS];
    CHECK0(pthread_barrier_init(&barrier, NULL, THREADS + 1));
    for (long i = 0; i < THREADS; i++)
        t[i] = start(target, (void *)i);
    for (int round = 0; round < 2; round++) {
        int sent = 0, err = 0;
        memset(accepted, 0, sizeof accepted);
        pthread_barrier_wait(&barrier);
        for (int i = 0; !err; i = (i + 1) % THREADS) {
            union sigval v = {.sival_int = accepted[i]};
            err = pthread_sigqueue(t[i], SIGRTMIN + 3, v);
            if (!err)
                accepted[i]++, sent++;
        }
        printf("to %d threads: %d, then error %d\n", THREADS, sent, err);
        child_of_the_full();
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < THREADS; i++)
            CHECK(received[i] == accepted[i]);
    }
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
}

/* A thread that ends gives back what waited for it. */
static void *ends_full(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void ended(void)
{
    CHECK0(pthread_barrier_init(&barrier, NULL, 2));
    for (int i = 0; i < 3; i++) {
        pthread_t t = start(ends_full, NULL);
        union sigval v = {.sival_int = 0};
        int n = 0;
        pthread_barrier_wait(&barrier);
        while (pthread_sigqueue(t, SIGRTMIN + 3, v) == 0)
            n++;
        pthread_barrier_wait(&barrier);
        join(t);
        printf("ended with %d\n", n);
    }
}

/* What the kernel has accepted arrives, whatever the process itself has queued. */
static void from_outside(void)
{
    int in[2], n = 0, go = 1;
    siginfo_t info;
    CHECK0(pipe(in));
    int own = fill();
    pid_t pid = fork();
    if (pid == 0) {
        union sigval v = {.sival_int = 0};
        CHECK(read(in[0], &go, sizeof go) == sizeof go);
        for (n = 0; n < 3 * LIMIT && sigqueue(getppid(), SIGRTMIN + 5, v) == 0; n++)
            v.sival_int++;
        CHECK(write(in[1], &n, sizeof n) == sizeof n);
        _exit(0);
    }
    CHECK(take(&info) > 0 && take(&info) > 0);
    CHECK(write(in[1], &go, sizeof go) == sizeof go);
    CHECK(waitpid(pid, NULL, 0) == pid && read(in[0], &n, sizeof n) == sizeof n);
    CHECK(n >= 2);
    int got = 0, sum = 0, other = 0;
    struct timespec long_enough = {10, 0};
    for (int i = 0, sig; i < n + own - 2 && (sig = sigtimedwait(&all, &info, &long_enough)) > 0; i++) {
        if (sig == SIGRTMIN + 5)
            got++, sum += info.si_value.sival_int;
        else
            other += sig == SIGRTMIN;
    }
    printf("from outside: %s, own %s\n", got == n && sum == n * (n - 1) / 2 ? "all" : "not all", other == own - 2 ? "all" : "not all");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    own_user();
    sigfillset(&all);
    sigdelset(&all, SIGCHLD);
    CHECK0(pthread_sigmask(SIG_BLOCK, &all, NULL));
    pthread_barrier_init(&barrier, NULL, 2);
    at_the_limit();
    sigfillset(&all);
    sigdelset(&all, SIGCHLD);
    pthread_t t = start(ends_full, NULL);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    join(t);
    at_the_limit();
    sigfillset(&all);
    sigdelset(&all, SIGCHLD);
    /* From here on there was a time when not all threads blocked them. */
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &all, NULL));
    CHECK0(pthread_sigmask(SIG_BLOCK, &all, NULL));
    at_the_limit();
    sigfillset(&all);
    sigdelset(&all, SIGCHLD);
    changed();
    threads();
    ended();
    from_outside();
    return 0;
}
