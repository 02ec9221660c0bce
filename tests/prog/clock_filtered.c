/* clock_filtered.c: a program whose filter kills for calls of clock_gettime, which it itself makes without the kernel, goes on as
 * natively: computing, yielding and in long calls. The filter is for its maker and the threads that that one makes, or for all. */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void install(unsigned flags)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = { sizeof f / sizeof *f, f };
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p) == 0);
}

static void *spinner(void *arg)
{
    int64_t end = now_ns(CLOCK_MONOTONIC) + 50 * NSEC_PER_MSEC;
    while (now_ns(CLOCK_MONOTONIC) < end)
        ;
    return arg;
}

static void *yielder(void *arg)
{
    int64_t end = now_ns(CLOCK_MONOTONIC) + 50 * NSEC_PER_MSEC;
    while (now_ns(CLOCK_MONOTONIC) < end) {
        usleep(100);
        sched_yield();
    }
    return arg;
}

static void *waiter(void *arg)
{
    usleep(20000);
    CHECK(waitpid(*(pid_t *)arg, NULL, 0) > 0);
    return arg;
}

static void sandbox(unsigned flags)
{
    pthread_t t[4];
    pid_t pid = fork();
    if (pid == 0) {
        usleep(100000);
        _exit(0);
    }
    t[0] = start(yielder, NULL);
    install(flags);
    t[1] = start(spinner, NULL);
    t[2] = start(spinner, NULL);
    t[3] = start(waiter, &pid);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    spinner(NULL);
}

int main(void)
{
    static const unsigned flags[] = { 0, SECCOMP_FILTER_FLAG_TSYNC };
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            sandbox(flags[i]);
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
    }
    return 0;
}
