/* clear_handlers.c: clone3 with CLONE_CLEAR_SIGHAND: the child has no handlers, and still ignores what its parent does. It is
 * what posix_spawn is made of since glibc 2.38. Also clone3's structure in sizes that the kernel does not know. */
#include "check.h"
#include <linux/sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *self;
static char stack[65536] __attribute__((aligned(16)));

static void handler(int sig)
{
    (void)sig;
}

static void show(const char *what)
{
    struct sigaction sa;
    printf("%s:", what);
    for (int sig = 1; sig < 32; sig++)
        if (sigaction(sig, NULL, &sa) == 0 && (sa.sa_handler != SIG_DFL || sa.sa_flags & ~0x04000000))
            printf(" %d %s %x", sig, sa.sa_handler == SIG_IGN ? "ignored" : sa.sa_handler == SIG_DFL ? "-" : "handled",
                   (unsigned)sa.sa_flags & ~0x04000000u); /* SA_RESTORER */
    puts("");
    fflush(stdout);
}

static int status_of(pid_t pid)
{
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void *compute(void *arg)
{
    int64_t end = now_ns(CLOCK_MONOTONIC) + 50 * NSEC_PER_MSEC;
    while (now_ns(CLOCK_MONOTONIC) < end)
        ;
    return arg;
}

static void *blocks_all(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    CHECK0(pthread_sigmask(SIG_BLOCK, &all, NULL));
    sem_post(arg);
    for (;;)
        pause();
    return NULL;
}

static long forked(struct clone_args *a, size_t size)
{
    return syscall(SYS_clone3, a, size);
}

static void exec_self(void)
{
    char *args[] = {(char *)self, "shown", NULL};
    execv(self, args);
    _exit(9);
}

static long spawned(struct clone_args *a)
{
    long ret;
    register void (*fn)(void) __asm__("r8") = exec_self;
    __asm__ volatile("mov $435, %%eax\n\tsyscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tcall *%%r8\n\thlt\n1:"
                     : "=a"(ret)
                     : "D"(a), "S"(sizeof *a), "r"(fn)
                     : "rcx", "r11", "memory");
    return ret;
}

static void *all(void *arg)
{
    struct clone_args a = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    (void)arg;
    show("parent");
    pid_t pid = (pid_t)forked(&a, sizeof a);
    if (pid == 0) {
        show("child");
        pthread_t t = start(compute, NULL);
        compute(NULL);
        join(t);
        kill(getpid(), SIGUSR2);
        kill(getpid(), SIGUSR1);
        _exit(8);
    }
    printf("the child ended of signal %d\n", status_of(pid));
    a.flags |= CLONE_VM | CLONE_VFORK;
    a.stack = (uintptr_t)stack;
    a.stack_size = sizeof stack;
    printf("status %d\n", status_of((pid_t)spawned(&a)));
    show("parent");

    struct {
        struct clone_args a;
        uint64_t more[4];
    } large = {.a.exit_signal = SIGCHLD};
    pid = (pid_t)forked(&large.a, sizeof large);
    if (pid == 0)
        _exit(3);
    printf("status %x\n", status_of(pid));
    large.more[3] = 1;
    CHECK_ERRNO(forked(&large.a, sizeof large), E2BIG);
    CHECK_ERRNO(forked(&large.a, 4097), E2BIG);
    large.more[3] = 0;
    large.a.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM;
    CHECK_ERRNO(forked(&large.a, sizeof large), EINVAL);
    return NULL;
}

int main(int argc, char **argv)
{
    sem_t blocked;
    self = argv[0];
    if (argc > 1) {
        show(argv[1]);
        return 0;
    }
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &sa, NULL);
    sa.sa_flags = SA_NOCLDSTOP;
    sigaction(SIGCHLD, &sa, NULL);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sem_init(&blocked, 0, 0);
    start(blocks_all, &blocked);
    sem_wait(&blocked);
    join(start(all, NULL));
    return 0;
}
