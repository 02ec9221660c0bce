/* main_name.c: the main thread's name is the process's, whichever kernel thread it sets it on. */
#include "check.h"
#include <sys/prctl.h>

static void *yields(void *arg)
{
    for (int i = 0; i < 1000; i++)
        usleep(0);
    return arg;
}

int main(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = start(yields, NULL);
    for (int i = 0; i < 1000; i++) {
        char name[16], got[32];
        snprintf(name, sizeof(name), "name %d", i);
        CHECK(prctl(PR_SET_NAME, name) == 0);
        usleep(0);
        CHECK(prctl(PR_GET_NAME, got) == 0 && strcmp(got, name) == 0);
        FILE *comm = fopen("/proc/self/comm", "r");
        CHECK(comm && fgets(got, sizeof(got), comm));
        fclose(comm);
        CHECK(strncmp(got, name, strlen(name)) == 0 && got[strlen(name)] == '\n');
    }
    for (int i = 0; i < 4; i++)
        join(t[i]);
    puts("done");
    return 0;
}
