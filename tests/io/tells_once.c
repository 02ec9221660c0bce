/* tells_once.c: poll, select and epoll of a file that tells once what is new, the list of mounts: beside another, in an epoll
 * descriptor from its beginning, and in one that is waited on already. A read of a perf event's count, which never waits. */
#include "iotest.h"
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/syscall.h>

enum { ROUNDS = 3 };

static int file, quiet[2], ep;
static short events;
static atomic_int rounds;

static void await_round(int n)
{
    while (atomic_load(&rounds) < n)
        msleep(1);
}

static void *polls(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct pollfd p[2] = { { quiet[0], POLLIN, 0 }, { file, events, 0 } };
        CHECK(poll(p, 2, i == 1 ? 30000 : -1) == 1 && p[1].revents & events && p[0].revents == 0);
        atomic_fetch_add(&rounds, 1);
    }
    struct pollfd p[2] = { { quiet[0], POLLIN, 0 }, { file, events, 0 } };
    int64_t began = now_ms();
    CHECK(poll(p, 2, 40) == 0 && now_ms() - began >= 38);
    return NULL;
}

static void *selects(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        fd_set in, ex;
        FD_ZERO(&in);
        FD_ZERO(&ex);
        FD_SET(quiet[0], &in);
        FD_SET(file, events & POLLIN ? &in : &ex);
        struct timeval tv = { 30, 0 };
        CHECK(select(file + quiet[0] + 1, &in, NULL, &ex, &tv) == 1 && !FD_ISSET(quiet[0], &in));
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static void *epolls(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct epoll_event e;
        CHECK(epoll_wait(ep, &e, 1, i == 1 ? 30000 : -1) == 1 && e.data.fd == file && e.events & (unsigned)events);
        atomic_fetch_add(&rounds, 1);
    }
    struct epoll_event e;
    int64_t began = now_ms();
    CHECK(epoll_wait(ep, &e, 1, 40) == 0 && now_ms() - began >= 38);
    return NULL;
}

static void add(void)
{
    struct epoll_event e = { .events = (unsigned)events, .data.fd = file };
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e) == 0);
}

static void all(void (*change)(void))
{
    for (int way = 0; way < 4; way++) {
        struct epoll_event e = { .events = EPOLLIN, .data.fd = quiet[0] };
        struct pollfd old = { file, events, 0 };
        poll(&old, 1, 0);
        atomic_store(&rounds, 0);
        ep = epoll_create1(EPOLL_CLOEXEC);
        CHECK(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, quiet[0], &e) == 0);
        if (way == 2)
            add();
        pthread_t t = start(way == 0 ? polls : way == 1 ? selects : epolls, NULL);
        settle();
        if (way == 3)
            add();
        for (int i = 0; i < ROUNDS; i++) {
            msleep(10);
            change();
            await_round(i + 1);
        }
        join(t);
        close(ep);
    }
}

static void mounts(void)
{
    CHECK(mount("x", "/mnt", "tmpfs", 0, NULL) == 0);
}

static void *reads_count(void *arg)
{
    uint64_t n;
    (void)arg;
    CHECK(read(file, &n, sizeof n) == sizeof n); /* never waits */
    return NULL;
}

static void of_mounts(void)
{
    char buf[65536];
    /* A private namespace, made while there is one thread. */
    if ((unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS)) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("x", "/mnt", "tmpfs", 0, NULL))
        return; /* not permitted here */
    file = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    while (read(file, buf, sizeof buf) > 0)
        ;
    events = POLLPRI;
    all(mounts);
    close(file);
}

static void of_perf_event(void)
{
    struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
                                 .size = sizeof a,
                                 .config = PERF_COUNT_SW_DUMMY,
                                 .sample_period = 1,
                                 .exclude_kernel = 1 };
    file = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (file < 0)
        return;
    void *ring = mmap(NULL, 4096 * 9, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (ring != MAP_FAILED) {
        join(start(reads_count, NULL));
        munmap(ring, 4096 * 9);
    }
    close(file);
}

int main(void)
{
    CHECK(pipe(quiet) == 0);
    of_mounts();
    of_perf_event();
    return 0;
}
