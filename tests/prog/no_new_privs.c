/* no_new_privs.c: the attribute belongs to a thread, and to the threads and processes that it makes: while only some have it,
 * when all have asked for it, in fork, vfork and posix_spawn, after an exec that fails, with a filter of calls, and in a
 * process that had it before its first thread. */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

#define N 6

static int has_it(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static void ask(void)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(has_it() == 1);
}

static int status_of(pid_t child)
{
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What a program that is executed sees. */
static int spawned(void)
{
    char *argv[] = { "grep", "-q", "NoNewPrivs:.1", "/proc/self/status", NULL };
    pid_t child;
    CHECK0(posix_spawn(&child, "/bin/grep", NULL, NULL, argv, environ));
    return !status_of(child);
}

static int forked(int vforks)
{
    pid_t child = vforks ? vfork() : fork();
    if (child == 0) {
        char *argv[] = { "grep", "-q", "NoNewPrivs:.1", "/proc/self/status", NULL };
        if (has_it() >= 0)
            execv("/bin/grep", argv);
        _exit(99);
    }
    return !status_of(child);
}

static void *of_child(void *arg)
{
    sched_yield();
    *(int *)arg = has_it() + spawned();
    return NULL;
}

static int in_child_thread(void)
{
    int n = -1;
    join(start(of_child, &n));
    return n;
}

static void report(const char *who)
{
    int thread = in_child_thread(), of_fork = forked(0), of_vfork = forked(1);
    printf("%s: %d, its thread %d, fork %d, vfork %d, spawned %d\n", who, has_it(), thread, of_fork, of_vfork, spawned());
    fflush(stdout);
}

static void *one(void *arg)
{
    char *none[] = { NULL };
    report("before");
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    CHECK(has_it() == 0);
    ask();
    ask();
    report("after");
    CHECK(execv("/nonexistent", none) == -1 && errno == ENOENT);
    report("after an exec that failed");
    return arg;
}

static pthread_barrier_t barrier;
static atomic_int all;

static void *many(void *arg)
{
    pthread_barrier_wait(&barrier);
    ask();
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 100; i++) {
        sched_yield();
        all += has_it();
        if (i % 20 == (int)(intptr_t)arg)
            sleep_ms(1);
    }
    all += in_child_thread() + forked(0) + spawned();
    return arg;
}

/* Everybody asks. */
static void everybody(void)
{
    pthread_t t[N];
    for (intptr_t i = 0; i < N; i++)
        t[i] = start(many, (void *)i);
    many((void *)17);
    for (int i = 0; i < N; i++)
        join(t[i]);
    printf("everybody: %s\n", all == (N + 1) * 104 ? "has it" : "not all");
    report("the main thread then");
}

/* A filter of one thread's calls is inherited by its threads, too, and by nobody else. */
static void *filtered(void *arg)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = { sizeof f / sizeof *f, f };
    ask();
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
    return arg;
}

static void *calls(void *arg)
{
    for (int i = 0; i < 20; i++) {
        errno = 0;
        int refused = getsid(0) == -1 && errno == EXDEV;
        CHECK(refused == (arg != NULL));
        sched_yield();
    }
    return arg;
}

static void *with_filter(void *arg)
{
    filtered(NULL);
    calls("x");
    for (int i = 0; i < 3; i++)
        join(start(calls, "x"));
    return arg;
}

static void *nothing(void *arg)
{
    return arg;
}

static void in_process(void (*fn)(void))
{
    pid_t child = fork();
    if (child == 0) {
        fn();
        fflush(stdout);
        _exit(0);
    }
    CHECK(status_of(child) == 0);
}

static void early(void)
{
    ask();
    report("early");
    join(start(many, (void *)18));
}

static void alone(void)
{
    join(start(nothing, NULL));
    ask();
    report("alone");
}

static void filter(void)
{
    pthread_t t = start(with_filter, NULL);
    for (int i = 0; i < 3; i++)
        join(start(calls, NULL));
    join(t);
    join(start(calls, NULL));
    printf("filters: inherited by threads of the same\n");
}

static void mixed(void)
{
    join(start(one, NULL));
    report("main");
}

int main(void)
{
    setbuf(stdout, NULL);
    CHECK0(pthread_barrier_init(&barrier, NULL, 1));
    in_process(early);
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    in_process(mixed);
    in_process(alone);
    in_process(filter);
    join(start(nothing, NULL));
    in_process(mixed);
    everybody();
    return 0;
}
