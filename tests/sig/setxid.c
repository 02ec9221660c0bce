/* setxid.c: credentials changed while threads run are those of every kernel thread, checked in /proc; a raw call by
 * syscall() changes one thread only. Needs root; otherwise it only says so, natively too. */
#include "../prog/check.h"
#include <dirent.h>
#include <grp.h>
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

/* Every thread in /proc/self/task has the four user ids. */
static void check_tasks(const char *want)
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
        CHECK(file != NULL);
        while (fgets(line, sizeof line, file))
            if (strncmp(line, "Uid:", 4) == 0 || strncmp(line, "Gid:", 4) == 0) {
                CHECK(strcmp(line + 4, want) == 0);
                checked++;
            }
        fclose(file);
    }
    closedir(dir);
    CHECK(checked > 0);
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

static void *unchanged(void *arg)
{
    for (int i = 0; i < 100; i++) {
        sched_yield();
        CHECK(syscall(SYS_geteuid) == 0);
    }
    return arg;
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
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    pthread_barrier_wait(&barrier);
    CHECK(setgroups(0, NULL) == 0);
    CHECK(setgid(1234) == 0);
    CHECK(setuid(1234) == 0);
    check_tasks("\t1234\t1234\t1234\t1234\n");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(setuid(0) == -1 && errno == EPERM);
    check_tasks("\t1234\t1234\t1234\t1234\n");
    puts("all changed");
    return 0;
}
