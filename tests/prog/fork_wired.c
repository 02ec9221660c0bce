/* fork_wired.c: threads and children that change what belongs to a thread alone, fork after that, and make threads again. */
#include "check.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define N 20

static void *nothing(void *arg)
{
    return arg;
}

/* Sets the capabilities that the thread has anyway, by its id. */
static void change_itself(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, gettid() };
    struct __user_cap_data_struct data[2];
    CHECK(syscall(SYS_capget, &header, data) == 0);
    CHECK(syscall(SYS_capset, &header, data) == 0);
    CHECK(header.pid == gettid());
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void in_child(void)
{
    wait_for(fork() ?: (change_itself(), wait_for(vfork() ?: (_exit(0), 0)), _exit(0), 0));
    change_itself();
    wait_for(vfork() ?: (_exit(0), 0));
    for (int i = 0; i < 3; i++)
        join(start(nothing, NULL));
    sleep_ms(1);
    wait_for(fork() ?: (join(start(nothing, NULL)), _exit(0), 0));
    _exit(0);
}

static void *worker(void *arg)
{
    change_itself();
    for (int i = 0; i < 3; i++)
        wait_for(fork() ?: (in_child(), 0));
    return arg;
}

/* A user namespace of its own is for a process without threads: a child that has made none yet, whatever else it changed.
 * Where the system forbids namespaces, natively too. */
static int own_namespace(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        change_itself();
        int err = unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
        join(start(nothing, NULL));
        wait_for(fork() ?: (join(start(nothing, NULL)), _exit(0), 0));
        _exit(err);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(void)
{
    pthread_t threads[3];
    join(start(nothing, NULL));
    for (int i = 0; i < N; i++)
        wait_for(fork() ?: (in_child(), 0));
    change_itself();
    for (int i = 0; i < 3; i++)
        threads[i] = start(worker, NULL);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    printf("namespace: %d\n", own_namespace());
    printf("all children ended well\n");
    return 0;
}
