/* filter_kills.c: a thread makes a call at which its seccomp filter has it killed, and nobody else. The main thread, which
 * joins it, does not wait in silence: the process ends with a line and a dump. NAME [beside]: while other threads compute and
 * yield, so that no P ever idles. */
#include "../check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void *computes(void *arg)
{
    for (volatile long i = 0;; i++)
        ;
    return arg;
}

static void *yields(void *arg)
{
    for (;;)
        sched_yield();
    return arg;
}

static void *calls(void *arg)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    CHECK0(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK0(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    syscall(SYS_getppid);
    return arg;
}

int main(int argc, char **argv)
{
    (void)argv;
    for (int i = 0; argc > 1 && i < 2; i++) {
        start(computes, NULL);
        start(yields, NULL);
    }
    join(start(calls, NULL));
    return 0;
}
