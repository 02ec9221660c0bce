/* masks.c: masks per thread, pending sets, order of delivery, SA_NODEFER, SA_RESETHAND, sa_mask, siginfo. */
#include "check.h"
#include <signal.h>

static __thread char trace[256];
static __thread int depth;
static __thread volatile int again;
static pid_t sender;

static void add(const char *s)
{
    strcat(trace, s);
}

static void note(int sig, siginfo_t *info, void *uc)
{
    char text[64];
    (void)uc;
    snprintf(text, sizeof text, "<%d.%d%s", sig - (sig >= SIGRTMIN ? SIGRTMIN : 0), info->si_code,
             info->si_pid == sender ? "" : "?");
    add(text);
    if (again && depth++ < 2)
        raise(sig);
    add(">");
}

static void install(int sig, int flags, int blocked)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = note;
    sa.sa_flags = SA_SIGINFO | flags;
    if (blocked)
        sigaddset(&sa.sa_mask, blocked);
    CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void set(int how, int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    CHECK0(pthread_sigmask(how, &s, NULL));
}

static void show(const char *what)
{
    sigset_t s;
    int n = 0;
    sigpending(&s);
    for (int i = 1; i < 65; i++)
        n += sigismember(&s, i) == 1;
    printf("%s: %s pending %d\n", what, trace, n);
    trace[0] = 0;
    depth = 0;
    again = 0;
}

static void *thread(void *name)
{
    printf("%s\n", (char *)name);
    raise(SIGUSR1);
    show("plain");
    set(SIG_BLOCK, SIGUSR1, SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR2);
    show("blocked");
    set(SIG_UNBLOCK, SIGUSR1, SIGUSR2);
    show("unblocked");
    again = 1;
    raise(SIGUSR1);
    show("deferred");
    install(SIGUSR1, SA_NODEFER, 0);
    again = 1;
    raise(SIGUSR1);
    show("nodefer");
    install(SIGUSR1, 0, SIGUSR2);
    set(SIG_BLOCK, SIGUSR1, SIGUSR2);
    raise(SIGUSR2);
    raise(SIGUSR1);
    set(SIG_UNBLOCK, SIGUSR1, SIGUSR2);
    show("sa_mask");
    install(SIGURG, SA_RESETHAND, 0);
    raise(SIGURG);
    raise(SIGURG);
    struct sigaction old;
    sigaction(SIGURG, NULL, &old);
    CHECK(old.sa_handler == SIG_DFL);
    show("resethand");
    signal(SIGUSR2, SIG_IGN);
    set(SIG_BLOCK, SIGUSR2, 0);
    raise(SIGUSR2);
    show("ignored, blocked");
    install(SIGUSR2, 0, 0);
    set(SIG_UNBLOCK, SIGUSR2, 0);
    show("unblocked with a handler");
    set(SIG_BLOCK, SIGUSR2, 0);
    raise(SIGUSR2);
    signal(SIGUSR2, SIG_IGN);
    install(SIGUSR2, 0, 0);
    set(SIG_UNBLOCK, SIGUSR2, 0);
    show("forgotten while ignored");
    install(SIGRTMIN + 1, 0, 0);
    install(SIGRTMIN + 2, 0, 0);
    set(SIG_BLOCK, SIGRTMIN + 1, SIGRTMIN + 2);
    raise(SIGRTMIN + 2);
    raise(SIGRTMIN + 1);
    raise(SIGRTMIN + 1);
    set(SIG_UNBLOCK, SIGRTMIN + 1, SIGRTMIN + 2);
    show("real-time");
    install(SIGUSR1, 0, 0);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK(kill(getpid(), 0) == 0);
    CHECK(pthread_kill(pthread_self(), 65) == EINVAL);
    return NULL;
}

static void *inherits(void *arg)
{
    sigset_t s;
    (void)arg;
    pthread_sigmask(SIG_BLOCK, NULL, &s);
    printf("inherited %d %d, none pending:", sigismember(&s, SIGHUP), sigismember(&s, SIGUSR1));
    sigpending(&s);
    printf(" %d\n", sigismember(&s, SIGHUP));
    return NULL;
}

int main(void)
{
    sender = getpid();
    install(SIGUSR1, 0, 0);
    install(SIGUSR2, 0, 0);
    join(start(thread, "thread"));
    thread("main");
    install(SIGHUP, 0, 0);
    set(SIG_BLOCK, SIGHUP, 0);
    raise(SIGHUP);
    join(start(inherits, NULL));
    set(SIG_UNBLOCK, SIGHUP, 0);
    show("main's own");
    return 0;
}
