/* setxid.c: credentials changed while threads run are those of every kernel thread, checked in /proc; a raw call by
 * syscall() changes one thread only. Needs root; otherwise it only says so, natively too. */
#include "../prog/check.h"
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define N 20

static pthread_barrier_t barrier;

static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg;
    char path[] = "/dev/null";
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 200; i++)
        if (me % 2)
            sched_yield();
        else
            CHECK(access(path, F_OK) == 0);
    pthread_barrier_wait(&barrier);
    CHECK(getuid() == 1234 && geteuid() == 1234 && getgid() == 1234);
    return NULL;
}

/* Every thread in /proc/self/task has the four ids that are wanted in the line that begins with what. */
static void check_tasks(const char *want, const char *what)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    char path[300], line[256];
    int checked = 0;
    CHECK(dir != NULL);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL && errno == ENOENT)
            continue; /* its end was under way: it has been joined, perhaps */
        CHECK(file != NULL);
        while (fgets(line, sizeof line, file))
            if (strncmp(line, what, 4) == 0) {
                CHECK(strcmp(line + 4, want) == 0);
                checked++;
            }
        fclose(file);
    }
    closedir(dir);
    CHECK(checked > 0);
}

static void *regained(void *arg)
{
    uid_t r, e, s;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 20; i++) {
        CHECK(getresuid(&r, &e, &s) == 0 && r == 1234 && e == 0 && s == 0);
        if (i % 2)
            sched_yield();
        else
            usleep(10);
    }
    return arg;
}

static void *raw_change(void *arg)
{
    CHECK(syscall(SYS_setresuid, 4321, 4321, 0) == 0);
    CHECK(syscall(SYS_geteuid) == 4321);
    for (int i = 0; i < 100; i++) {
        sched_yield();
        usleep(10);
        CHECK(syscall(SYS_geteuid) == 4321);
    }
    return arg;
}

/* Each thread sets its ids once: setuid(0) by one that is not root, but has root's as its saved id, sets one id; what it
 * sets when it is root is all three. Threads made between two changes have their makers' and none of the earlier ones. */
static void regain(void)
{
    pthread_t threads[N];
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(regained, (void *)i);
    CHECK(setresuid(1234, 1234, 0) == 0);
    CHECK(setuid(0) == 0);
    check_tasks("\t1234\t0\t0\t0\n", "Uid:");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    check_tasks("\t1234\t0\t0\t0\n", "Uid:");
    _exit(0);
}

static void *change_and_wait(void *arg)
{
    CHECK(syscall(SYS_setresuid, 4321, 4321, 4321) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return arg;
}

static void aborted(int sig)
{
    (void)sig;
    _exit(7);
}

/* A thread that can no longer follow: glibc ends the process, by SIGABRT. */
static void one_refuses(void)
{
    CHECK0(pthread_barrier_init(&barrier, NULL, 2));
    start(change_and_wait, NULL);
    pthread_barrier_wait(&barrier);
    signal(SIGABRT, aborted);
    setresuid(1234, 1234, 1234);
    _exit(0);
}

static int status_of(void (*run)(void))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        run();
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *unchanged(void *arg)
{
    for (int i = 0; i < 100; i++) {
        sched_yield();
        CHECK(syscall(SYS_geteuid) == 0);
    }
    return arg;
}

static void *yields(void *arg)
{
    for (int i = 0; i < 100; i++)
        usleep(i % 4 ? 0 : 50);
    return arg;
}

static void *as_its_maker(void *arg)
{
    uid_t r, e, s;
    CHECK(getresgid(&r, &e, &s) == 0 && r == 1234 && e == 1234 && s == 1234);
    return arg;
}

/* The only thread keeps its capabilities for a change that others, were there any left, could not make. */
static void keeps_capabilities(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = start(yields, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    CHECK(setresuid(1234, 1234, 1234) == 0);
    CHECK(syscall(SYS_capget, &header, data) == 0);
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    CHECK(syscall(SYS_capset, &header, data) == 0);
    CHECK(setgroups(0, NULL) == 0 && setresgid(1234, 1234, 1234) == 0);
    for (int i = 0; i < 4; i++)
        t[i] = start(as_its_maker, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    _exit(0);
}

int main(void)
{
    pthread_t threads[N];
    if (getuid() != 0) {
        puts("not root");
        return 0;
    }
    /* In a process of its own: a thread that has been joined may still be in /proc for a moment. */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pthread_t raw = start(raw_change, NULL);
        for (int i = 0; i < 5; i++)
            threads[i] = start(unchanged, NULL);
        join(raw);
        for (int i = 0; i < 5; i++)
            join(threads[i]);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    puts("one thread changed");
    CHECK(status_of(regain) == 0);
    puts("regained");
    CHECK(status_of(one_refuses) == 7);
    puts("one refuses");
    CHECK(status_of(keeps_capabilities) == 0);
    puts("the only thread keeps capabilities");
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    pthread_barrier_wait(&barrier);
    CHECK(setgroups(0, NULL) == 0);
    CHECK(setgid(1234) == 0);
    CHECK(setuid(1234) == 0);
    check_tasks("\t1234\t1234\t1234\t1234\n", "Uid:");
    check_tasks("\t1234\t1234\t1234\t1234\n", "Gid:");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(setuid(0) == -1 && errno == EPERM);
    check_tasks("\t1234\t1234\t1234\t1234\n", "Uid:");
    check_tasks("\t1234\t1234\t1234\t1234\n", "Gid:");
    puts("all changed");
    return 0;
}
