/* startup.c: how long programs take from spawn to wait, with and without a preloaded library.
 * usage: startup MS start|thread [LIBRARY]; prints microseconds.
 *   start   a program without threads
 *   thread  what the first thread adds: the median with one thread less the median without
 *
 * This program runs as it is; LIBRARY goes into LD_PRELOAD of the children only. The two children, which lie beside this
 * program, take turns, so that drift of the machine falls on both. */
#include "bench.h"
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>

enum { MOST = 20000 };

extern char **environ;

static uint64_t spawn_once(char *path) {
    char *argv[] = {path, NULL};
    pid_t pid;
    int status;
    uint64_t start = now_ns();
    int e = posix_spawn(&pid, path, NULL, NULL, argv, environ);
    if (e) {
        fprintf(stderr, "%s: %s\n", path, strerror(e));
        exit(1);
    }
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    if (status != 0) {
        fprintf(stderr, "%s ended with status %#x\n", path, (unsigned)status);
        exit(1);
    }
    return now_ns() - start;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(uint64_t *v, size_t n) {
    qsort(v, n, sizeof *v, ascending);
    return (double)v[n / 2] / 1000.0;
}

int main(int argc, char **argv) {
    static uint64_t without[MOST], with[MOST];
    char self[PATH_MAX], none[PATH_MAX + 32], one[PATH_MAX + 32];
    uint64_t duration = arg_duration(argc, argv), start;
    size_t n = 0;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        die("/proc/self/exe");
    self[len] = 0;
    const char *dir = dirname(self);
    snprintf(none, sizeof none, "%s/start_nothread", dir);
    snprintf(one, sizeof one, "%s/start_onethread", dir);
    if (argc > 3 && setenv("LD_PRELOAD", argv[3], 1))
        die("setenv");
    for (start = now_ns(); n < MOST && (n < 5 || now_ns() - start < duration); n++) {
        without[n] = spawn_once(none);
        with[n] = spawn_once(one);
    }
    double a = median_us(without, n), b = median_us(with, n);
    int first_thread = argc > 2 && !strcmp(argv[2], "thread");
    report("startup", first_thread ? b - a : a, "us", "without=%.1f with=%.1f runs=%zu", a, b, n);
    return 0;
}
