/* mappings.c: while threads run, objects are loaded and unloaded and stacks come and go, no memory is writable and executable
 * at once. */
#include "check.h"
#include <dlfcn.h>
#include <stdatomic.h>

static atomic_int stop;
static char plugin[4096];

static void look(void)
{
    char line[512], perms[8];
    FILE *f = fopen("/proc/self/maps", "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        CHECK(sscanf(line, "%*s %7s", perms) == 1);
        if (perms[1] == 'w' && perms[2] == 'x')
            fprintf(stderr, "%s", line);
        CHECK(!(perms[1] == 'w' && perms[2] == 'x'));
    }
    fclose(f);
}

static void *looks(void *arg)
{
    while (!stop)
        look();
    return arg;
}

static void *nothing(void *arg)
{
    return arg;
}

static void *loads(void *arg)
{
    for (int i = 0; i < 40; i++) {
        void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
        CHECK(handle != NULL);
        join(start(nothing, NULL));
        CHECK(dlclose(handle) == 0);
    }
    return arg;
}

int main(int argc, char **argv)
{
    char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    CHECK(slash != NULL);
    snprintf(plugin, sizeof plugin, "%.*s/lib/plugin.so", (int)(slash - argv[0]), argv[0]);
    look();
    pthread_t watcher = start(looks, NULL), loader = start(loads, NULL);
    join(loader);
    stop = 1;
    join(watcher);
    look();
    puts("nothing is writable and executable");
    return 0;
}
