/*
 * tracer.c: threads that trace children, as a debugger does. To the kernel the tracer is the kernel thread that forked the
 * child, or attached to it: requests that come from another are refused.
 */
#include "check.h"
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define N 6
#define PEEKS 50
#define CHILDREN 3

static const long answer = 42;
static volatile int stop;

static void child(int traced_by_parent)
{
    if (traced_by_parent)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0 ? 3 : 4);
    alarm(60); /* it does not outlive a tracer that failed for long */
    for (;;)
        pause();
}

static void wait_for_stop(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, __WALL) == pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

/* Gives way in between, in ways after which another kernel thread may go on with it. */
static void look_into(pid_t pid)
{
    for (int i = 0; i < PEEKS; i++) {
        errno = 0;
        CHECK(ptrace(PTRACE_PEEKDATA, pid, &answer, NULL) == answer && errno == 0);
        if (i % 8 == 0)
            usleep(100);
        else
            sched_yield();
    }
}

static void let_end(pid_t pid)
{
    int status;
    CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void *start_and_trace(void *arg)
{
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            child(1);
        usleep(200);
        wait_for_stop(pid);
        look_into(pid);
        let_end(pid);
    }
    return arg;
}

static void *attach(void *arg)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child(0);
    CHECK(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0);
    usleep(200);
    wait_for_stop(pid);
    look_into(pid);
    CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    return arg;
}

static void *busy(void *arg)
{
    while (!stop)
        sched_yield();
    return arg;
}

int main(void)
{
    pthread_t tracers[N], others[2];
    pid_t before = fork(); /* and looked into when there are threads */
    CHECK(before >= 0);
    if (before == 0)
        child(1);
    for (int i = 0; i < 2; i++)
        others[i] = start(busy, NULL);
    for (int i = 0; i < N; i++)
        tracers[i] = start(i % 2 ? attach : start_and_trace, NULL);
    usleep(1000);
    wait_for_stop(before);
    look_into(before);
    let_end(before);
    for (int i = 0; i < N; i++)
        join(tracers[i]);
    stop = 1;
    for (int i = 0; i < 2; i++)
        join(others[i]);
    puts("all were traced to their end");
    return 0;
}
