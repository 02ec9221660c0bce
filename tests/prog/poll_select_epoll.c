/* poll_select_epoll.c: poll, select, epoll_wait in threads: timeouts not early, events in time, descriptors of all sorts. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>

#define MS 15

static int fds[2], closed_end[2];

static int by_poll(int ms)
{
    struct pollfd set[3] = {{fds[0], POLLIN, 0}, {-1, POLLIN, 0}, {fds[0], POLLPRI, 0}};
    return poll(set, 3, ms);
}

static int by_ppoll(int ms)
{
    struct pollfd set = {fds[0], POLLIN, 0};
    struct timespec ts = timespec_of(ms * NSEC_PER_MSEC);
    return ppoll(&set, 1, ms < 0 ? NULL : &ts, NULL);
}

static int by_select(int ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    int n = select(fds[0] + 1, &set, NULL, NULL, ms < 0 ? NULL : &tv);
    CHECK(n < 0 || FD_ISSET(fds[0], &set) == n);
    return n;
}

static int by_pselect(int ms)
{
    struct timespec ts = timespec_of(ms * NSEC_PER_MSEC);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    return pselect(fds[0] + 1, &set, NULL, NULL, ms < 0 ? NULL : &ts, NULL);
}

static int by_epoll(int ms)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 77}, out;
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epfd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, fds[0], &event) == 0);
    int n = epoll_wait(epfd, &out, 1, ms);
    CHECK(n < 1 || (out.data.u32 == 77 && out.events == EPOLLIN));
    CHECK(close(epfd) == 0);
    return n;
}

static int (*const ways[])(int) = {by_poll, by_ppoll, by_select, by_pselect, by_epoll};
#define WAYS 5

static void *times_out(void *arg)
{
    int (*way)(int) = ways[(intptr_t)arg % WAYS];
    int64_t before = now_ns(CLOCK_MONOTONIC);
    CHECK(way(MS) == 0);
    CHECK(now_ns(CLOCK_MONOTONIC) - before >= MS * NSEC_PER_MSEC);
    CHECK(way(0) == 0);
    return NULL;
}

static void *gets_event(void *arg)
{
    intptr_t i = (intptr_t)arg;
    CHECK(ways[i % WAYS](i < WAYS ? -1 : 30000) == 1);
    return NULL;
}

static void *only_sleeps(void *arg)
{
    int64_t before = now_ns(CLOCK_MONOTONIC);
    struct timeval tv = {0, MS * 1000};
    CHECK(poll(NULL, 0, MS) == 0);
    CHECK(select(0, NULL, NULL, NULL, &tv) == 0);
    CHECK(now_ns(CLOCK_MONOTONIC) - before >= 2 * MS * NSEC_PER_MSEC);
    return arg;
}

static void *odd_descriptors(void *arg)
{
    struct pollfd set[2] = {{closed_end[0], POLLIN, 0}, {9999, POLLIN, 0}};
    CHECK(poll(set, 2, 30000) == 2 && (set[0].revents & POLLHUP) && set[1].revents == POLLNVAL);
    struct epoll_event event;
    CHECK_ERRNO(epoll_wait(closed_end[0], &event, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(-1, &event, 1, 0), EBADF);

    uint64_t value = 3;
    int fd = eventfd(0, EFD_SEMAPHORE);
    CHECK(fd >= 0 && write(fd, &value, sizeof value) == sizeof value);
    set[0].fd = fd;
    CHECK(poll(set, 1, -1) == 1 && read(fd, &value, sizeof value) == sizeof value && value == 1);
    CHECK(close(fd) == 0);

    struct itimerspec spec = {{0, 0}, {0, MS * NSEC_PER_MSEC}};
    fd = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK(fd >= 0 && timerfd_settime(fd, 0, &spec, NULL) == 0);
    set[0].fd = fd;
    CHECK(poll(set, 1, -1) == 1 && read(fd, &value, sizeof value) == sizeof value && value == 1);
    CHECK(timerfd_settime(fd, 0, &spec, NULL) == 0);
    CHECK(read(fd, &value, sizeof value) == sizeof value && value == 1);
    CHECK(close(fd) == 0);
    return arg;
}

int main(void)
{
    pthread_t threads[2 * WAYS];
    CHECK(pipe(fds) == 0 && pipe(closed_end) == 0 && close(closed_end[1]) == 0);
    for (intptr_t i = 0; i < 2 * WAYS; i++)
        threads[i] = start(times_out, (void *)i);
    for (int i = 0; i < 2 * WAYS; i++)
        join(threads[i]);
    puts("timed out");
    join(start(only_sleeps, NULL));
    join(start(odd_descriptors, NULL));
    for (intptr_t i = 0; i < 2 * WAYS; i++)
        threads[i] = start(gets_event, (void *)i);
    sleep_ms(3);
    CHECK(write(fds[1], "x", 1) == 1);
    for (int i = 0; i < 2 * WAYS; i++)
        join(threads[i]);
    puts("got the event");
    return 0;
}
