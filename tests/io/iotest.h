/* iotest.h: what the I/O programs share beyond check.h. */
#ifndef IOTEST_H
#define IOTEST_H

#include "check.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

static inline int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void msleep(int ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
    nanosleep(&ts, NULL);
}

static inline int listen_tcp(struct sockaddr_in *a, int backlog)
{
    socklen_t len = sizeof *a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)a, sizeof *a) == 0 && listen(fd, backlog) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)a, &len) == 0);
    return fd;
}

static inline int connect_tcp(const struct sockaddr_in *a)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) == 0);
    return fd;
}

static inline void tcp_pair(int s[2])
{
    struct sockaddr_in a;
    int l = listen_tcp(&a, 8);
    s[0] = connect_tcp(&a);
    s[1] = accept(l, NULL, NULL);
    CHECK(s[1] >= 0);
    close(l);
}

static inline void fill(unsigned char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(seed + i * 7 + (i >> 8));
}

static inline void read_exact(int fd, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = read(fd, (char *)p + done, n - done);
        CHECK(r > 0);
        done += (size_t)r;
    }
}

/* A thread that is about to block has blocked, most likely. */
static inline void settle(void)
{
    msleep(30);
}

/* How often a kernel thread of this process has slept; -1: it is gone. *state: its letter in /proc. */
static inline long times_slept(const char *tid, char *state)
{
    char path[300], text[4000];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", tid);
    int fd = open(path, O_RDONLY);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = 0;
    const char *s = strstr(text, "State:\t"), *slept = strstr(text, "\nvoluntary_ctxt_switches:\t");
    if (!s || !slept)
        return -1;
    *state = s[7];
    return atol(slept + 26);
}

enum { MAX_BUSY = 64 };

struct busy {
    int n;
    struct {
        int tid;
        long slept; /* how often */
    } threads[MAX_BUSY];
};

/* How many kernel threads but our own run or want to, and have not slept since the look before this one: what such a thread had
 * to do then is done, and it was woken for something else (preloom's sysmon, at each of our own steps). */
static inline int others_running(struct busy *seen)
{
    struct busy now = { 0 };
    int n = 0;
    char state = 0, self[64] = "";
    CHECK(readlink("/proc/thread-self", self, sizeof self - 1) > 0);
    int own = atoi(strrchr(self, '/') + 1);
    DIR *d = opendir("/proc/self/task");
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        int tid = atoi(e->d_name), before = 0;
        long slept = tid && tid != own ? times_slept(e->d_name, &state) : -1;
        if (slept < 0 || (state != 'R' && state != 'D'))
            continue;
        while (before < seen->n && seen->threads[before].tid != tid)
            before++;
        n += before == seen->n || seen->threads[before].slept == slept;
        if (now.n < MAX_BUSY) {
            now.threads[now.n].tid = tid;
            now.threads[now.n++].slept = slept;
        }
    }
    closedir(d);
    *seen = now;
    return n;
}

/* All other threads have blocked, also on a machine where they get to run late. */
static inline void all_settle(void)
{
    struct busy seen = { 0 };
    for (int i = 0, one = 0; i < 200 && one < 30; i++) {
        settle();
        int n = others_running(&seen);
        if (n == 0)
            return;
        one = n == 1 ? one + 1 : 0; /* it has other things to do, perhaps */
    }
}

/* Makes the process threaded before anything else is tested. */
static inline void *nothing(void *arg)
{
    return arg;
}

#endif
