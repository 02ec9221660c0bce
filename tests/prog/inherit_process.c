/* inherit_process.c: what a thread was told of affinity, policy, nice value and I/O priority, and its name, is what a process has
 * that it makes by fork, fork and exec, or posix_spawn, or becomes by exec; and what the child of a fork is told before its exec. */
#include "check.h"
#include <linux/ioprio.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RESET_ON_FORK 0x40000000 /* SCHED_RESET_ON_FORK */

extern char **environ;
static char *self;
static cpu_set_t all;

static void show(const char *what)
{
    cpu_set_t set;
    char name[16];
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0);
    printf("%s: %d CPU, policy %d, nice %d, I/O priority %ld, %s\n", what, CPU_COUNT(&set), sched_getscheduler(0),
           getpriority(PRIO_PROCESS, 0), syscall(SYS_ioprio_get, 1, 0), name);
    CHECK(fflush(stdout) == 0);
}

static void one_cpu(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

static void ended(pid_t pid)
{
    int status;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void processes(const char *who)
{
    char what[64], *argv[] = {self, what, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(what, sizeof(what), "%s, fork", who);
        show(what);
        snprintf(what, sizeof(what), "%s, fork and exec", who);
        execv("/nonexistent/program", argv);
        execv(self, argv);
        _exit(1);
    }
    ended(pid);
    snprintf(what, sizeof(what), "%s, posix_spawn", who);
    CHECK0(posix_spawn(&pid, self, NULL, NULL, argv, environ));
    ended(pid);
    pid = fork();
    if (pid == 0) {
        snprintf(what, sizeof(what), "%s, told in the child", who);
        one_cpu();
        CHECK(setpriority(PRIO_PROCESS, 0, 12) == 0);
        CHECK(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}) == 0);
        CHECK(prctl(PR_SET_NAME, "child") == 0);
        execv(self, argv);
        _exit(1);
    }
    ended(pid);
    sleep_ms(2);
    snprintf(what, sizeof(what), "%s, itself", who);
    show(what);
}

static void *told(void *arg)
{
    CHECK0(pthread_setname_np(pthread_self(), "told"));
    one_cpu();
    CHECK(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}) == 0);
    CHECK(setpriority(PRIO_PROCESS, (id_t)gettid(), 7) == 0);
    CHECK(syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)) == 0);
    processes("a thread");
    return arg;
}

static void *told_nothing(void *arg)
{
    CHECK0(pthread_setname_np(pthread_self(), "nothing"));
    processes("another");
    return arg;
}

static void *resets(void *arg)
{
    CHECK0(pthread_setname_np(pthread_self(), "resets"));
    CHECK(sched_setscheduler(0, SCHED_BATCH | RESET_ON_FORK, &(struct sched_param){0}) == 0);
    CHECK(setpriority(PRIO_PROCESS, (id_t)gettid(), 3) == 0);
    processes("one that resets");
    return arg;
}

static void *execs(void *arg)
{
    char *argv[] = {self, "exec in a thread", NULL};
    (void)arg;
    one_cpu();
    CHECK(setpriority(PRIO_PROCESS, (id_t)gettid(), 9) == 0);
    CHECK(execv("/nonexistent/program", argv) == -1 && errno == ENOENT);
    execv(self, argv);
    _exit(1);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        show(argv[1]);
        return 0;
    }
    self = argv[0];
    CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    join(start(told_nothing, NULL));
    join(start(told, NULL));
    join(start(resets, NULL));
    processes("main before");
    one_cpu();
    CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
    for (int i = 0; i < 5; i++)
        sleep_ms(1);
    processes("main");
    join(start(execs, NULL));
    return 1;
}
