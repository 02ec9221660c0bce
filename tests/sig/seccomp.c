/* seccomp.c: a program in a filter of its own making that knows only the calls that the program makes itself: what preloom
 * would like to call instead is refused in three ways. Before threads are made and after; and a call of the program's own
 * that is trapped and emulated by its handler for SIGSYS, which sees the call's number, address and arguments. */
#include "../prog/check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>

#define EMULATED 4711

static atomic_int emulated;

/* As the sandboxes of browsers do: the arguments are read from the context, the result is written to it. */
static void on_sys(int sig, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (sig != SIGSYS || info->si_code != 1 || info->si_syscall != SYS_flock || r[REG_RAX] != SYS_flock ||
        (greg_t)info->si_call_addr != r[REG_RIP])
        _exit(99);
    emulated++;
    r[REG_RAX] = r[REG_RDI] == 1000 ? EMULATED : -EXDEV;
}

static void install(unsigned refusal)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv2, 13, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwritev2, 12, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 441 /* epoll_pwait2 */, 11, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 10, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 440 /* process_madvise */, 9, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 8, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 8, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_FIXED_NOREPLACE, 4, 3),
        /* Threads as glibc makes them, and children; madvise as a program uses it. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 30, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, refusal),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog p = { sizeof f / sizeof *f, f };
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &p) == 0);
}

static int there[2], back[2];

static void *echo(void *arg)
{
    char c;
    while (read(there[0], &c, 1) == 1) {
        struct iovec v = { &c, 1 };
        CHECK(writev(back[1], &v, 1) == 1);
    }
    close(back[1]);
    return arg;
}

static void *trapped(void *arg)
{
    for (int i = 0; i < 200; i++) {
        CHECK(syscall(SYS_flock, 1000, 7) == EMULATED);
        errno = 0;
        CHECK(syscall(SYS_flock, 1001, 7) == -1 && errno == EXDEV);
        sched_yield();
    }
    return arg;
}

static void work(void)
{
    char c;
    pthread_t t[4];
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    pthread_t e = start(echo, NULL);
    for (int i = 0; i < 200; i++) {
        c = (char)i;
        CHECK(write(there[1], &c, 1) == 1);
        struct iovec v = { &c, 1 };
        CHECK(readv(back[0], &v, 1) == 1 && c == (char)i);
        if (i % 50 == 0)
            sleep_ms(2);
    }
    for (int i = 0; i < 4; i++)
        t[i] = start(trapped, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    close(there[1]);
    CHECK(read(back[0], &c, 1) == 0);
    join(e);
}

static void *nothing(void *arg)
{
    return arg;
}

static void in_child(unsigned refusal, int threads_first)
{
    pid_t child = fork();
    if (child == 0) {
        struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
        CHECK(sigaction(SIGSYS, &sa, NULL) == 0);
        if (threads_first)
            join(start(nothing, NULL));
        install(refusal);
        work();
        _exit(emulated == 1600 ? 0 : 1);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    printf("refusal %x, %s: %s %d\n", refusal, threads_first ? "after threads" : "before threads",
           WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    fflush(stdout);
}

int main(void)
{
    static const unsigned refusals[] = { SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ERRNO | ENOSYS };
    for (int first = 0; first < 2; first++)
        for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++)
            in_child(refusals[i], first);
    return 0;
}
