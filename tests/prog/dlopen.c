/* dlopen.c: objects loaded while threads run, with thread-local data of their own, used, unloaded and loaded again. */
#include "check.h"
#include <dlfcn.h>

#define N 8

static const char *path;
static volatile int stop;

static void *runs(void *arg)
{
    while (!stop)
        sched_yield();
    return arg;
}

static void *lookup(void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);
    CHECK(symbol != NULL);
    return symbol;
}

static void *loads(void *arg)
{
    for (int round = 0; round < 10; round++) {
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle == NULL)
            fprintf(stderr, "%s\n", dlerror());
        CHECK(handle != NULL);
        int (*constructed)(void) = (int (*)(void))lookup(handle, "plugin_constructed");
        long (*count)(void) = (long (*)(void))lookup(handle, "plugin_count");
        long (*nap)(long) = (long (*)(long))lookup(handle, "plugin_sleep");
        long (*in_thread)(long) = (long (*)(long))lookup(handle, "plugin_in_thread");
        CHECK(constructed() == 1);
        long first = count();
        CHECK(first > 1000);
        for (int i = 1; i < 20; i++) {
            sched_yield();
            CHECK(count() == first + i);
        }
        CHECK(nap(1000 * 1000) == 0);
        CHECK(in_thread(5) == 1006);
        CHECK(dlclose(handle) == 0);
    }
    return arg;
}

int main(int argc, char **argv)
{
    static char name[4096];
    /* The plugin lies in lib/ beside the program. */
    const char *slash = strrchr(argv[0], '/');
    CHECK(argc >= 1 && slash != NULL);
    snprintf(name, sizeof name, "%.*s/lib/plugin.so", (int)(slash - argv[0]), argv[0]);
    path = name;

    pthread_t runner = start(runs, NULL), threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(loads, NULL);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    loads(NULL);
    stop = 1;
    join(runner);
    CHECK(dlopen("/nonexistent/plugin.so", RTLD_NOW) == NULL && dlerror() != NULL);
    puts("loaded and used");
    return 0;
}
