/* spawn_mask.c: after many threads made processes at the same time, no kernel thread is left with signals blocked, and a
 * thread that computes can still be interrupted. */
#include "check.h"
#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define N 12
#define ROUNDS 6

static pthread_barrier_t all;

static void spawn(void)
{
    char *argv[] = {"true", NULL}, *envp[] = {NULL};
    pid_t pid;
    int status;
    CHECK0(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *work(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&all);
        spawn();
        if (i % 2)
            CHECK(system("true") == 0);
    }
    pthread_barrier_wait(&all);
    pthread_barrier_wait(&all);
    return arg;
}

static int threads_that_block(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *e;
    int n = 0;
    CHECK(tasks != NULL);
    while ((e = readdir(tasks)) != NULL) {
        char path[300], line[256];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f == NULL)
            continue;
        unsigned long long mask = 0;
        while (fgets(line, sizeof line, f) != NULL)
            sscanf(line, "SigBlk: %llx", &mask);
        n += (mask & 0xffffffff) != 0; /* real-time ones are taken by one kernel thread, in their order */
        fclose(f);
    }
    closedir(tasks);
    return n;
}

static void *spin(void *arg)
{
    for (;;)
        pthread_testcancel();
    return arg;
}

int main(void)
{
    pthread_t t[N];
    CHECK0(pthread_barrier_init(&all, NULL, N + 1));
    for (int i = 0; i < N; i++)
        t[i] = start(work, NULL);
    for (int i = 0; i <= ROUNDS; i++)
        pthread_barrier_wait(&all);
    int n = threads_that_block();
    for (int i = 0; n != 0 && i < 1000; i++) { /* one may be in the middle of something */
        sleep_ms(10);
        n = threads_that_block();
    }
    printf("%d threads block signals\n", n);
    pthread_barrier_wait(&all);
    for (int i = 0; i < N; i++)
        join(t[i]);
    for (int i = 0; i < N; i++)
        t[i] = start(spin, NULL);
    sleep_ms(20);
    for (int i = 0; i < N; i++) {
        CHECK0(pthread_cancel(t[i]));
        CHECK(join(t[i]) == PTHREAD_CANCELED);
    }
    return 0;
}
