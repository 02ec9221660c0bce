/* setuid_child.c: in the child of a fork of a threaded process, a change of credentials reaches every kernel thread: those
 * that serve the program, and whatever else there is.
 */
#include "check.h"
#include <dirent.h>
#include <sys/wait.h>

static _Atomic int done;

static void *waits(void *arg)
{
    while (!done)
        sleep_ms(10);
    return arg;
}

static void check_uids(uid_t want)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    CHECK(d != NULL);
    while ((e = readdir(d))) {
        char path[300], line[200];
        unsigned uid = 0;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        if (!f)
            continue; /* it has ended */
        while (fgets(line, sizeof line, f))
            if (sscanf(line, "Uid: %u", &uid) == 1)
                break;
        fclose(f);
        CHECK(uid == want);
    }
    closedir(d);
}

static void change(void)
{
    pthread_t t[4];
    done = 0;
    for (int i = 0; i < 4; i++)
        t[i] = start(waits, NULL);
    sleep_ms(20);
    if (getuid() == 0)
        CHECK(setuid(65531) == 0);
    check_uids(getuid());
    done = 1;
    for (int i = 0; i < 4; i++)
        join(t[i]);
}

int main(void)
{
    pthread_t t = start(waits, NULL);
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        change();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    done = 1;
    join(t);
    change();
    puts("changed");
    return 0;
}
