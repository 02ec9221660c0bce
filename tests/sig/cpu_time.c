/* cpu_time.c: ITIMER_PROF and ITIMER_VIRTUAL signal the thread that uses the time, not one that sleeps; RLIMIT_CPU; a child's CPU
 * clock begins at 0; and small things about masks: a call that does not wait, but lets a signal through, is ended by it; flags that nobody knows are forgotten. */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define ENOUGH 10

static _Thread_local volatile int is_burner;
static atomic_int in_burner, elsewhere, stop, hits;

static void handler(int sig)
{
    (void)sig;
    if (is_burner)
        in_burner++;
    else
        elsewhere++;
    hits++;
}

static void *burn(void *arg)
{
    volatile unsigned long x = 0;
    is_burner = 1;
    while (!stop)
        x++;
    return arg;
}

/* Sleeps meanwhile: it uses next to no time, and so do all but the burner. */
static void sleep_until_enough(void)
{
    for (int i = 0; i < 2000 && in_burner < ENOUGH; i++)
        usleep(10000);
}

static void timer(int which, int sig, const char *name)
{
    struct itimerval often = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};
    in_burner = elsewhere = stop = 0;
    signal(sig, handler);
    pthread_t t = start(burn, NULL);
    CHECK(setitimer(which, &often, NULL) == 0);
    sleep_until_enough();
    CHECK(setitimer(which, &off, NULL) == 0);
    stop = 1;
    join(t);
    printf("%s: %s\n", name, in_burner > elsewhere ? "who used it" : "others");
}

static void limit(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit l = {1, 3};
        hits = stop = 0;
        signal(SIGXCPU, handler);
        CHECK0(setrlimit(RLIMIT_CPU, &l));
        pthread_t t = start(burn, NULL);
        for (int i = 0; i < 2000 && !hits; i++)
            usleep(10000);
        printf("SIGXCPU: %d\n", hits > 0);
        fflush(stdout);
        join(t);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    printf("the end: %s\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "SIGKILL" : "another");
}

/* A child begins with none of its maker's. */
static void *forks(void *arg)
{
    volatile unsigned long x = 0;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < 500 * NSEC_PER_MSEC)
        x++;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rusage u;
        CHECK(getrusage(RUSAGE_THREAD, &u) == 0);
        printf("child: %d %d\n", now_ns(CLOCK_THREAD_CPUTIME_ID) < 500 * NSEC_PER_MSEC, u.ru_utime.tv_sec == 0 && u.ru_utime.tv_usec < 500000);
        fflush(stdout);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    return arg;
}

static void ends(const char *name, int ret, int err)
{
    printf("%s: %d %s, handled %d\n", name, ret, ret < 0 && err == EINTR ? "EINTR" : "", hits);
}

static void *masks(void *arg)
{
    sigset_t usr1, none;
    struct timespec zero = {0, 0};
    int p[2], ret;
    fd_set set;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    signal(SIGUSR1, handler);
    CHECK0(pipe(p));
    CHECK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    for (int i = 0; i < 4; i++) {
        hits = 0;
        if (i < 2)
            pthread_kill(pthread_self(), SIGUSR1);
        if (i == 2)
            kill(getpid(), SIGUSR1);
        ret = i == 1 ? pselect(p[0] + 1, &set, NULL, NULL, &zero, &none) : ppoll(NULL, 0, &zero, &none);
        ends(i == 1 ? "pselect" : "ppoll", ret, errno);
    }
    printf("the set is as it was: %d\n", FD_ISSET(p[0], &set) != 0);
    pthread_kill(pthread_self(), SIGUSR1);
    CHECK(write(p[1], "x", 1) == 1);
    hits = 0;
    ret = pselect(p[0] + 1, &set, NULL, NULL, &zero, &none);
    ends("ready", ret, errno);
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
    printf("then handled %d\n", hits);
    return arg;
}

static void flags(void)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } sa = {SIG_IGN, 0x400 | 0x10000 | SA_RESTART | SA_NODEFER, NULL, ~0ul};
    CHECK(syscall(SYS_rt_sigaction, SIGUSR2, &sa, NULL, 8) == 0 && syscall(SYS_rt_sigaction, SIGUSR2, NULL, &sa, 8) == 0);
    printf("flags %lx, mask %lx\n", sa.flags, sa.mask);
}

int main(void)
{
    timer(ITIMER_PROF, SIGPROF, "ITIMER_PROF");
    timer(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL");
    limit();
    join(start(forks, NULL));
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    CHECK0(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
    join(start(masks, NULL));
    flags();
    return 0;
}
