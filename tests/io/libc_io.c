/* libc_io.c: what libc blocks in by itself: stdio, popen, system, getaddrinfo, syslog, several threads at once. */
#include "iotest.h"
#include <netdb.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <syslog.h>

enum { THREADS = 16, LINES = 300 };

static int p[2];
static atomic_int lines;

static void *reads_lines(void *arg)
{
    char line[256];
    FILE *f = arg;
    while (fgets(line, sizeof line, f)) {
        CHECK(strlen(line) == 81 && line[80] == '\n');
        atomic_fetch_add(&lines, 1);
        if (lines % 200 == 0)
            msleep(1);
    }
    return NULL;
}

static void *prints(void *arg)
{
    for (int i = 0; i < LINES; i++)
        CHECK(fprintf(arg, "%080d\n", i) == 81);
    return NULL;
}

static void stdio(void)
{
    pthread_t t[THREADS];
    CHECK(pipe(p) == 0);
    FILE *r = fdopen(p[0], "r"), *w = fdopen(p[1], "w");
    pthread_t reader = start(reads_lines, r);
    for (int i = 0; i < THREADS; i++)
        t[i] = start(prints, w);
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
    fclose(w);
    join(reader);
    CHECK(lines == THREADS * LINES);
    fclose(r);
}

static void *children(void *arg)
{
    char line[64];
    for (int i = 0; i < 5; i++) {
        FILE *f = popen("sleep 0.01; echo out", "r");
        CHECK(f && fgets(line, sizeof line, f) && !strcmp(line, "out\n"));
        int status = pclose(f);
        CHECK(status == 0);
        status = system("exit 3");
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    }
    return arg;
}

static void *resolves(void *arg)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
    for (int i = 0; i < 20; i++) {
        CHECK(getaddrinfo("localhost", "80", &hints, &list) == 0);
        freeaddrinfo(list);
    }
    syslog(LOG_DEBUG, "preloom test");
    return arg;
}

static void *forks(void *arg)
{
    for (int i = 0; i < 5; i++) {
        int q[2], status;
        char c;
        CHECK(pipe(q) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct pollfd f = { q[0], POLLIN, 0 };
            if (poll(&f, 1, 5) < 0 || read(q[0], &c, 1) != 1 || c != 'f')
                _exit(1);
            _exit(5);
        }
        msleep(10);
        CHECK(write(q[1], "f", 1) == 1);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
        close(q[0]);
        close(q[1]);
    }
    return arg;
}

int main(void)
{
    pthread_t t[9];
    join(start(nothing, NULL));
    stdio();
    for (int i = 0; i < 9; i++)
        t[i] = start(i % 3 == 0 ? children : i % 3 == 1 ? resolves : forks, NULL);
    for (int i = 0; i < 9; i++)
        join(t[i]);
    puts("libc_io ok");
    return 0;
}
