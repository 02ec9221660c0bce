/* spawn.c: vfork and exec, posix_spawn, system and popen from threads, with their output and status. */
#include "check.h"
#include <spawn.h>
#include <sys/wait.h>

#define N 4

extern char **environ;

static int wait_for(pid_t child)
{
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void by_vfork(void)
{
    volatile int shared = 1;
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 3", (char *)NULL);
        _exit(127);
    }
    CHECK(shared == 1 && wait_for(child) == 3);

    child = vfork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(4);
    CHECK(wait_for(child) == 4);
}

static void by_spawn(void)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 5", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    CHECK0(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ));
    CHECK(wait_for(child) == 5);
    CHECK(posix_spawn(&child, "/nonexistent/program", NULL, NULL, argv, environ) == ENOENT);

    int fds[2];
    char line[16] = "";
    argv[2] = (char *)"echo spawned";
    CHECK(pipe(fds) == 0);
    CHECK0(posix_spawn_file_actions_init(&actions));
    CHECK0(posix_spawn_file_actions_adddup2(&actions, fds[1], 1));
    CHECK0(posix_spawn_file_actions_addclose(&actions, fds[0]));
    CHECK0(posix_spawnp(&child, "sh", &actions, NULL, argv, environ));
    CHECK(close(fds[1]) == 0);
    CHECK(read(fds[0], line, sizeof line) == 8 && strcmp(line, "spawned\n") == 0);
    CHECK(close(fds[0]) == 0);
    CHECK(wait_for(child) == 0);
    posix_spawn_file_actions_destroy(&actions);
}

static void by_system(void)
{
    CHECK(WEXITSTATUS(system("exit 6")) == 6);
    CHECK(system(NULL) != 0);
}

static void by_popen(int id)
{
    char command[64], line[64] = "";
    int n;
    snprintf(command, sizeof command, "read x; echo got $x %d", id);
    FILE *in = popen("echo one two", "r");
    CHECK(in != NULL && fgets(line, sizeof line, in) != NULL && strcmp(line, "one two\n") == 0);
    CHECK(pclose(in) == 0);

    FILE *out = popen("read x; exit $x", "w");
    CHECK(out != NULL && fprintf(out, "%d\n", id) > 0);
    n = pclose(out);
    CHECK(WEXITSTATUS(n) == id);
}

static void *worker(void *arg)
{
    int id = 10 + (int)(intptr_t)arg;
    for (int i = 0; i < 3; i++) {
        by_vfork();
        by_spawn();
        by_system();
        by_popen(id);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("all children ended as told");
    return 0;
}
