/* main_name.c: the main thread's name is the process's, whichever kernel thread it sets it on. */
#include "check.h"
#include <sys/prctl.h>

static void *yields(void *arg)
{
    for (int i = 0; i < 1000; i++)
        usleep(0);
    return arg;
}

static void check_name(const char *name)
{
    char got[32];
    CHECK(prctl(PR_SET_NAME, name) == 0);
    usleep(0);
    CHECK(prctl(PR_GET_NAME, got) == 0 && strcmp(got, name) == 0);
    FILE *comm = fopen("/proc/self/comm", "r");
    CHECK(comm);
    size_t n = fread(got, 1, sizeof(got), comm);
    fclose(comm);
    CHECK(n == strlen(name) + 1 && memcmp(got, name, n - 1) == 0 && got[n - 1] == '\n');
}

int main(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = start(yields, NULL);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name %d", i);
        check_name(name);
        if (i % 4 == 0)
            check_name("");
        if (i % 4 == 1)
            check_name("two\nlines");
        if (i % 4 == 2)
            check_name("fifteen letters");
    }
    for (int i = 0; i < 4; i++)
        join(t[i]);
    puts("done");
    return 0;
}
