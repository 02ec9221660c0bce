/* polling.c: poll, ppoll, select, pselect, epoll_wait: timeouts, mixtures of ready, closed and invalid descriptors. */
#include "iotest.h"
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

static int p[2], q[2], file;
static _Atomic int64_t written_at;

static void *writes_later(void *arg)
{
    msleep(40);
    written_at = now_ms();
    CHECK(write((int)(intptr_t)arg, "x", 1) == 1);
    return NULL;
}

static pthread_t write_later(int fd)
{
    written_at = INT64_MAX;
    return start(writes_later, (void *)(intptr_t)fd);
}

static void drain(int fd)
{
    char c;
    CHECK(read(fd, &c, 1) == 1);
}

#define TAKES(lo, hi, call)                            \
    do {                                               \
        int64_t t0_ = now_ms();                        \
        CHECK(call);                                   \
        int64_t took_ = now_ms() - t0_;                \
        CHECK(took_ >= (lo)-2 && took_ < (hi)); \
    } while (0)

/* It waits for what write_later writes, should that not be there already because the machine stood still. */
#define WAITS(call)                    \
    do {                               \
        TAKES(0, 20000, call);         \
        CHECK(now_ms() >= written_at); \
    } while (0)

static void polls(void)
{
    struct pollfd f[6] = { { p[0], POLLIN, 7 }, { -1, POLLIN, 7 }, { q[0], POLLIN, 7 } };
    TAKES(50, 20000, poll(f, 3, 50) == 0);
    CHECK(f[0].revents == 0 && f[1].revents == 0 && f[2].revents == 0);
    CHECK(poll(f, 3, 0) == 0);
    TAKES(20, 20000, poll(NULL, 0, 20) == 0);
    pthread_t t = write_later(q[1]);
    WAITS(poll(f, 3, 30000) == 1);
    CHECK(f[0].revents == 0 && f[2].revents == POLLIN);
    join(t);
    f[3] = (struct pollfd){ p[1], POLLOUT, 0 };
    f[4] = (struct pollfd){ file, POLLIN | POLLOUT, 0 };
    f[5] = (struct pollfd){ 777, POLLIN, 0 };
    CHECK(poll(f, 6, -1) == 4);
    CHECK(f[2].revents == POLLIN && f[3].revents == POLLOUT && f[4].revents == (POLLIN | POLLOUT) &&
          f[5].revents == POLLNVAL);
    drain(q[0]);
    t = write_later(p[1]);
    CHECK(poll(f, 1, -1) == 1);
    join(t);
    CHECK(poll(f, 1, -1) == 1); /* level: still there */
    drain(p[0]);
    CHECK(poll(f, 1, 10) == 0);
    struct timespec ts = { 0, 30000000 };
    TAKES(30, 20000, ppoll(f, 1, &ts, NULL) == 0);
    struct pollfd *volatile bad = (struct pollfd *)8;
    volatile nfds_t many = UINT_MAX;
    CHECK_ERRNO(poll(bad, 1, 0), EFAULT);
    CHECK_ERRNO(poll(bad, 1, 10), EFAULT);
    ts.tv_nsec = 2000000000;
    CHECK_ERRNO(ppoll(f, 1, &ts, NULL), EINVAL);
    CHECK_ERRNO(poll(f, many, 1), EINVAL);
}

static void selects(void)
{
    fd_set in, out, ex;
    struct timeval tv = { 0, 40000 };
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&ex);
    FD_SET(p[0], &in);
    FD_SET(q[0], &in);
    TAKES(40, 20000, select(q[0] + 1, &in, NULL, NULL, &tv) == 0);
    CHECK(!FD_ISSET(p[0], &in) && !FD_ISSET(q[0], &in) && tv.tv_sec == 0 && tv.tv_usec == 0);
    int64_t left = INT64_MAX;
    for (int i = 0; i < 5 && left > 30000 - 30; i++) { /* again if it came late and what it waits for was there */
        if (i)
            drain(q[0]);
        FD_SET(p[0], &in);
        FD_SET(q[0], &in);
        FD_SET(q[0], &ex);
        pthread_t t = write_later(q[1]);
        tv = (struct timeval){ 30, 0 };
        int64_t t0 = now_ms();
        WAITS(select(FD_SETSIZE, &in, &out, &ex, &tv) == 1);
        left = tv.tv_sec * 1000 + tv.tv_usec / 1000;
        CHECK(!FD_ISSET(p[0], &in) && FD_ISSET(q[0], &in) && !FD_ISSET(q[0], &ex));
        CHECK(left >= 30000 - 1 - (now_ms() - t0));
        join(t);
    }
    CHECK(left <= 30000 - 30);
    FD_SET(p[1], &out);
    FD_SET(file, &in);
    CHECK(select(FD_SETSIZE, &in, &out, NULL, NULL) == 3);
    drain(q[0]);
    FD_ZERO(&in);
    FD_SET(40, &in);
    CHECK_ERRNO(select(FD_SETSIZE, &in, NULL, NULL, NULL), EBADF);
    CHECK_ERRNO(select(-1, &in, NULL, NULL, NULL), EINVAL);
    tv.tv_sec = -1;
    CHECK_ERRNO(select(0, NULL, NULL, NULL, &tv), EINVAL);
    struct timespec ts = { 0, 20000000 };
    TAKES(20, 20000, pselect(0, NULL, NULL, NULL, &ts, NULL) == 0);
    /* A hang-up does not make the write side of a socket... but an end makes the read side ready. */
    int s[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    close(s[1]);
    FD_ZERO(&in);
    FD_SET(s[0], &in);
    CHECK(select(s[0] + 1, &in, NULL, NULL, NULL) == 1);
    FD_ZERO(&ex);
    FD_SET(s[0], &ex);
    tv = (struct timeval){ 0, 20000 };
    TAKES(20, 20000, select(s[0] + 1, NULL, NULL, &ex, &tv) == 0);
    close(s[0]);
}

static int ep;
static atomic_int events, waiters;

static void *epoll_waiter(void *arg)
{
    struct epoll_event ev;
    char c;
    (void)arg;
    atomic_fetch_add(&waiters, 1);
    for (;;) {
        int n = epoll_wait(ep, &ev, 1, -1);
        CHECK(n == 1);
        if (ev.data.u32 == 99)
            return NULL;
        CHECK(read(ev.data.fd, &c, 1) == 1);
        atomic_fetch_add(&events, 1);
        struct epoll_event again = { EPOLLIN | EPOLLONESHOT, { .fd = ev.data.fd } };
        CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, ev.data.fd, &again) == 0);
    }
}

static void epolls(void)
{
    struct epoll_event ev = { EPOLLIN, { .fd = p[0] } };
    int e = epoll_create1(0);
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) == 0);
    CHECK(epoll_wait(e, &ev, 1, 0) == 0);
    TAKES(30, 20000, epoll_wait(e, &ev, 1, 30) == 0);
    pthread_t t = write_later(p[1]);
    WAITS(epoll_wait(e, &ev, 1, 30000) == 1);
    CHECK(ev.data.fd == p[0] && ev.events == EPOLLIN);
    join(t);
    CHECK(epoll_wait(e, &ev, 1, -1) == 1);
    drain(p[0]);
    CHECK_ERRNO(epoll_wait(e, &ev, 0, 10), EINVAL);
    CHECK_ERRNO(epoll_wait(p[0], &ev, 1, 10), EINVAL);
    CHECK_ERRNO(epoll_wait(888, &ev, 1, 10), EBADF);
    struct pollfd pf = { e, POLLIN, 0 };
    t = write_later(p[1]);
    CHECK(poll(&pf, 1, 30000) == 1); /* an epoll descriptor can itself be polled */
    join(t);
    drain(p[0]);
    close(e);

    /* Several threads in epoll_wait on one epoll: every event is taken once, all are woken that are needed. */
    enum { N = 6, PIPES = 12, ROUNDS = 200 };
    int pp[PIPES][2];
    pthread_t w[N];
    ep = epoll_create1(0);
    for (int i = 0; i < PIPES; i++) {
        CHECK(pipe(pp[i]) == 0);
        struct epoll_event one = { EPOLLIN | EPOLLONESHOT, { .fd = pp[i][0] } };
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, pp[i][0], &one) == 0);
    }
    for (int i = 0; i < N; i++)
        w[i] = start(epoll_waiter, NULL);
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < PIPES; i++)
            CHECK(write(pp[i][1], "x", 1) == 1);
        int64_t t0 = now_ms();
        while (events < (r + 1) * PIPES) {
            CHECK(now_ms() - t0 < 60000);
            msleep(1);
        }
    }
    int stop = eventfd(1, 0);
    struct epoll_event last = { EPOLLIN, { .u32 = 99 } };
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, stop, &last) == 0);
    for (int i = 0; i < N; i++)
        join(w[i]);
    for (int i = 0; i < PIPES; i++)
        close(pp[i][0]), close(pp[i][1]);
    close(stop);
    close(ep);
}

int main(void)
{
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    file = open("/proc/self/exe", O_RDONLY);
    CHECK(file >= 0);
    join(start(nothing, NULL));
    polls();
    selects();
    epolls();
    puts("polling ok");
    return 0;
}
