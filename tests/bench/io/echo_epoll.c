/* echo_epoll.c: the echo server as one thread with an epoll loop, written by hand: what the kernel leaves to be had.
 * usage: echo_epoll; prints `port N`.
 *
 * Edge-triggered, registered once. A read that does not fill the buffer has emptied the socket, so no read is spent on
 * learning EAGAIN. A peer that does not read its answers loses its connection: this is a yardstick, not a server. */
#include "io/serve.h"
#include <fcntl.h>
#include <sys/epoll.h>

enum { EVENTS = 256 };

static void add(int ep, int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
        die("epoll_ctl");
}

static void accept_all(int ep, int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        no_delay(fd);
        add(ep, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        die("accept");
}

static void echo(int fd) {
    char buf[1024];
    ssize_t n;
    do {
        n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || write(fd, buf, (size_t)n) != n) {
            close(fd);
            return;
        }
    } while (n == sizeof buf);
}

int main(void) {
    struct epoll_event events[EVENTS];
    int listener = listen_on_loopback(), ep = epoll_create1(0);
    if (ep < 0)
        die("epoll_create1");
    fcntl(listener, F_SETFL, O_NONBLOCK);
    add(ep, listener, EPOLLIN);
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listener)
                accept_all(ep, listener);
            else
                echo(events[i].data.fd);
    }
}
