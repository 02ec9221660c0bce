/* processes.c: masks, pending signals and handlers across fork, exec and posix_spawn; SIGCHLD in its forms. */
#include "check.h"
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static volatile int handled, children;

static void handler(int sig)
{
    handled = sig;
}

static void child_died(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (info->si_code == CLD_EXITED && info->si_status == 5)
        children++;
}

static void show(const char *what)
{
    sigset_t m, p;
    struct sigaction sa;
    char text[300];
    int n = snprintf(text, sizeof text, "%s: blocked", what);
    sigprocmask(SIG_BLOCK, NULL, &m);
    sigpending(&p);
    for (int i = 1; i < 32; i++)
        if (sigismember(&m, i) == 1)
            n += snprintf(text + n, sizeof text - (size_t)n, " %d", i);
    n += snprintf(text + n, sizeof text - (size_t)n, " pending");
    for (int i = 1; i < 32; i++)
        if (sigismember(&p, i) == 1)
            n += snprintf(text + n, sizeof text - (size_t)n, " %d", i);
    n += snprintf(text + n, sizeof text - (size_t)n, " ignored");
    for (int i = 1; i < 32; i++)
        if (sigaction(i, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
            n += snprintf(text + n, sizeof text - (size_t)n, " %d", i);
    n += snprintf(text + n, sizeof text - (size_t)n, " handled");
    for (int i = 1; i < 32; i++)
        if (sigaction(i, NULL, &sa) == 0 && sa.sa_handler != SIG_IGN && sa.sa_handler != SIG_DFL)
            n += snprintf(text + n, sizeof text - (size_t)n, " %d", i);
    puts(text);
    fflush(stdout);
}

static void wait_child(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status)
        printf("status %x\n", status);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *thread(void *self)
{
    char *args[] = {self, "shown", NULL};
    pid_t pid;
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGHUP);
    CHECK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    raise(SIGUSR1);
    show("before");
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        show("forked");
        CHECK0(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
        raise(SIGUSR1);
        join(start(nothing, NULL));
        pthread_kill(pthread_self(), SIGUSR1);
        _exit(handled == SIGUSR1 ? 0 : 1);
    }
    wait_child(pid);
    pid = fork();
    if (pid == 0) {
        raise(SIGUSR1);
        execv(self, args);
        _exit(1);
    }
    wait_child(pid);
    CHECK0(posix_spawn(&pid, self, NULL, NULL, args, environ));
    wait_child(pid);
    posix_spawnattr_t a;
    posix_spawnattr_init(&a);
    sigset_t d;
    sigemptyset(&d);
    sigaddset(&d, SIGQUIT);
    posix_spawnattr_setsigmask(&a, &d);
    sigaddset(&d, SIGHUP);
    posix_spawnattr_setsigdefault(&a, &d);
    posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    CHECK0(posix_spawn(&pid, self, NULL, &a, args, environ));
    wait_child(pid);
    CHECK(system("exit 3") == 3 << 8);
    CHECK_ERRNO(execl("/nonexistent", "x", NULL), ENOENT);
    sigset_t p;
    sigpending(&p);
    printf("after a failed exec: %d\n", sigismember(&p, SIGUSR1));
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
    printf("handled %d\n", handled == SIGUSR1);
    return NULL;
}

static void *chld(void *arg)
{
    (void)arg;
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = child_died;
    sa.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGCHLD, &sa, NULL);
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        int status;
        if (pid == 0)
            _exit(5);
        CHECK(waitpid(pid, &status, 0) == pid);
        while (children <= i)
            usleep(1000);
    }
    sa.sa_flags |= SA_NOCLDWAIT;
    sigaction(SIGCHLD, &sa, NULL);
    if (fork() == 0)
        _exit(5);
    while (children < 6)
        usleep(1000);
    CHECK_ERRNO(wait(NULL), ECHILD);
    signal(SIGCHLD, SIG_IGN);
    if (fork() == 0)
        _exit(5);
    CHECK_ERRNO(wait(NULL), ECHILD);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGCHLD);
    CHECK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    if (fork() == 0)
        _exit(5);
    CHECK_ERRNO(wait(NULL), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    siginfo_t info;
    pid_t pid;
    int dropped = 0; /* a SIGCHLD that comes before the wait is dropped by the main thread, natively too */
    do {
        pid = fork();
        if (pid == 0) {
            usleep(100000 << 2 * dropped);
            _exit(6);
        }
        struct timespec most = {10, 0};
        if (sigtimedwait(&s, &info, &most) == SIGCHLD)
            break;
        CHECK(waitpid(pid, NULL, WNOHANG) == pid);
    } while (++dropped < 3);
    printf("sigtimedwait: %d %d %d\n", info.si_pid == pid, info.si_code == CLD_EXITED, info.si_status);
    if (dropped < 3)
        wait_child(pid);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        show(argv[1]);
        return 0;
    }
    signal(SIGUSR1, handler);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    self[n] = 0;
    join(start(thread, self));
    join(start(chld, NULL));
    thread(self);
    return 0;
}
