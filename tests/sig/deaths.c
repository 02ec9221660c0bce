/* deaths.c: default actions of a threaded process are the kernel's: how it ends, stops and goes on. */
#include "check.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static volatile int *volatile bad = (int *)16;

static void *sleeper(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

static void nothing(int sig)
{
    (void)sig;
}

static void with_threads(void)
{
    for (int i = 0; i < 3; i++)
        start(sleeper, NULL);
}

static void block(int sig, int how)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, sig);
    CHECK0(pthread_sigmask(how, &s, NULL));
}

static void *raises(void *sig)
{
    raise((int)(intptr_t)sig);
    return NULL;
}

static void *segv(void *arg)
{
    (void)arg;
    *bad = 1;
    return NULL;
}

static int deeper(volatile char *p, int n)
{
    volatile char big[8192];
    big[0] = p ? *p : 0;
    return n < 100000000 ? deeper(big, n + 1) + big[0] : 0;
}

static void *overflow(void *arg)
{
    (void)arg;
    deeper(NULL, 0);
    return NULL;
}

static void die(int how)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    with_threads();
    switch (how) {
    case 0: join(start(raises, (void *)(intptr_t)SIGTERM)); break;
    case 1: kill(getpid(), SIGINT); break;
    case 2: abort();
    case 3: join(start(segv, NULL)); break;
    case 4: join(start(overflow, NULL)); break;
    case 5:
        block(SIGHUP, SIG_BLOCK);
        raise(SIGHUP);
        block(SIGHUP, SIG_UNBLOCK);
        break;
    case 6: kill(getpid(), SIGKILL); break;
    case 7: alarm(1); for (;;) pause();
    case 8: raise(SIGRTMIN + 3); break;
    case 9:
        block(SIGSEGV, SIG_BLOCK);
        segv(NULL);
        break;
    case 10:
        signal(SIGSEGV, SIG_IGN);
        join(start(segv, NULL));
        break;
    case 11: {
        sigset_t s;
        sigfillset(&s);
        pthread_sigmask(SIG_SETMASK, &s, NULL);
        kill(getpid(), SIGUSR1); /* one of the others, which do not block it, takes it */
        sleep(5);
        break;
    }
    case 12: __asm__ volatile("int3"); break;
    case 13: raise(SIGUSR1); break;
    case 14: kill(getpid(), SIGRTMAX); break;
    case 15: /* the handler's stack is not there */
    {
        stack_t st = {.ss_sp = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = 65536};
        struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
        sigaltstack(&st, NULL);
        sigaction(SIGUSR1, &sa, NULL);
        raise(SIGUSR1);
        break;
    }
    }
    _exit(99);
}

static void report(const char *what, int n, int status)
{
    if (WIFSIGNALED(status))
        printf("%s %d: signal %d\n", what, n, WTERMSIG(status));
    else if (WIFSTOPPED(status))
        printf("%s %d: stopped by %d\n", what, n, WSTOPSIG(status));
    else if (WIFCONTINUED(status))
        printf("%s %d: continued\n", what, n);
    else
        printf("%s %d: exit %d\n", what, n, WEXITSTATUS(status));
    fflush(stdout);
}

static void stops(int sig)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        with_threads();
        if (sig == SIGTSTP) { /* blocked for a while, so that it is no longer the kernel's business alone */
            block(sig, SIG_BLOCK);
            raise(sig);
            block(sig, SIG_UNBLOCK);
        } else {
            kill(getpid(), sig);
        }
        _exit(7);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    report("stop", sig, status);
    if (!WIFSTOPPED(status)) /* SIGTSTP does not stop a process of an orphaned group */
        return;
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    report("end", sig, status);
}

int main(void)
{
    for (int how = 0; how <= 15; how++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            die(how);
        CHECK(waitpid(pid, &status, 0) == pid);
        report("death", how, status);
    }
    setpgid(0, 0);
    stops(SIGSTOP);
    stops(SIGTSTP);
    stops(SIGTTIN);
    return 0;
}
