/* serve.h: what the thread-per-connection servers share: a listening socket on loopback and a thread for each connection.
 *
 * Everything blocks and nothing else is tuned: this is the server that a program would be if threads were cheap. A server
 * prints `port N`, and ends by itself when nobody has ended it, so that a failed run leaves nothing behind. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>

enum { BACKLOG = 4096 };

static unsigned lifetime_seconds = 180;

static inline int listen_on_loopback(void) {
    struct rlimit files;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    alarm(lifetime_seconds);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        die("listen");
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static inline void no_delay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline int write_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* `connection` gets the descriptor as its argument and closes it. */
__attribute__((noreturn)) static inline void serve(void *(*connection)(void *)) {
    int listener = listen_on_loopback();
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t t;
        int e, fd = accept(listener, NULL, NULL);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            die("accept");
        no_delay(fd);
        e = pthread_create(&t, &detached, connection, (void *)(intptr_t)fd);
        if (e) {
            fprintf(stderr, "pthread_create: %s\n", strerror(e));
            close(fd);
        }
    }
}

#endif
