/* main_name_fork.c: while the main thread forks, on whichever kernel thread, the lowest free descriptor stays so for others; and the child
 * has its name, the one from before the fork, however soon it takes another. */
#include "check.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define FORKS 100

static atomic_int renames, stop;

static void *opens(void *arg)
{
    int lowest = open("/dev/null", O_RDONLY);
    CHECK(lowest >= 0);
    do {
        CHECK(close(lowest) == 0);
        CHECK(open("/dev/null", O_RDONLY) == lowest);
    } while (!renames);
    return arg;
}

static void *yields(void *arg)
{
    while (!stop)
        usleep(0);
    return arg;
}

int main(void)
{
    int fd = open("/proc/self/comm", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "from outside", 12) == 12 && close(fd) == 0);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = start(i ? yields : opens, NULL);
    for (int i = 0; i < FORKS; i++) {
        if (i == FORKS / 2) {
            renames = 1;
            join(t[0]);
        }
        CHECK(!renames || prctl(PR_SET_NAME, "before") == 0);
        usleep(100);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            char name[16] = "";
            CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, renames ? "before" : "from outside") == 0);
            _exit(0);
        }
        CHECK(!renames || prctl(PR_SET_NAME, "after") == 0);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = 1;
    for (int i = 1; i < 4; i++)
        join(t[i]);
    puts("done");
    return 0;
}
