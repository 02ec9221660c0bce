/* connects.c: accept and connect: many at once, refused, non-blocking, interrupted, with a timeout, several acceptors. */
#include "iotest.h"
#include <sys/time.h>
#include <sys/un.h>

enum { CLIENTS = 60, ACCEPTORS = 5, ROUNDS = 5 };

static struct sockaddr_in addr;
static int listener;
static atomic_int served;

static void *acceptor(void *arg)
{
    char c;
    for (;;) {
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        int fd = accept(listener, (struct sockaddr *)&from, &len);
        CHECK(fd >= 0 && from.sin_family == AF_INET);
        CHECK(read(fd, &c, 1) == 1);
        if (c != 'q')
            atomic_fetch_add(&served, 1);
        CHECK(write(fd, &c, 1) == 1);
        close(fd);
        if (c == 'q')
            return arg;
    }
}

static void *client(void *arg)
{
    char c = 'x';
    for (int i = 0; i < ROUNDS; i++) {
        int fd = connect_tcp(&addr);
        CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
        CHECK(write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1 && c == 'x');
        CHECK(read(fd, &c, 1) == 0);
        close(fd);
    }
    return arg;
}

static void many(void)
{
    pthread_t a[ACCEPTORS], t[CLIENTS];
    listener = listen_tcp(&addr, 128);
    for (int i = 0; i < ACCEPTORS; i++)
        a[i] = start(acceptor, NULL);
    settle();
    for (int i = 0; i < CLIENTS; i++)
        t[i] = start(client, NULL);
    for (int i = 0; i < CLIENTS; i++)
        join(t[i]);
    CHECK(served == CLIENTS * ROUNDS);
    for (int i = 0; i < ACCEPTORS; i++) {
        char c;
        int fd = connect_tcp(&addr);
        CHECK(write(fd, "q", 1) == 1 && read(fd, &c, 1) == 1);
        close(fd);
    }
    for (int i = 0; i < ACCEPTORS; i++)
        join(a[i]);
    close(listener);
}

static void refused(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* nobody listens any more */
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&addr, sizeof addr), ECONNREFUSED);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&addr, sizeof addr), ECONNREFUSED);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&addr, 2), EINVAL);
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    close(fd);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&addr, sizeof addr), EBADF);
    CHECK_ERRNO(connect(0, (struct sockaddr *)&addr, sizeof addr), ENOTSOCK);
}

static void nonblocking(void)
{
    int err = 1;
    socklen_t len = sizeof err;
    listener = listen_tcp(&addr, 4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERRNO(connect(fd, (struct sockaddr *)&addr, sizeof addr), EINPROGRESS);
    struct pollfd p = { fd, POLLOUT, 0 };
    CHECK(poll(&p, 1, 30000) == 1);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0);
    int got = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    char c;
    CHECK_ERRNO(read(got, &c, 1), EAGAIN);
    CHECK(fcntl(got, F_SETFL, 0) == 0);
    CHECK(write(fd, "w", 1) == 1 && read(got, &c, 1) == 1);
    CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    CHECK(fcntl(listener, F_SETFL, 0) == 0);
    struct timeval tv = { 0, 50000 };
    CHECK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    close(fd);
    close(got);
    close(listener);
}

/* A full backlog: the handshake does not end. */
static void stuck(void)
{
    struct timeval tv = { 0, 100000 };
    int fd[8], n = 0, last = 0;
    listener = listen_tcp(&addr, 0);
    while (n < 8 && last == 0) {
        fd[n] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(setsockopt(fd[n], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
        last = connect(fd[n++], (struct sockaddr *)&addr, sizeof addr);
    }
    CHECK(last == -1 && (errno == EINPROGRESS || errno == EAGAIN));
    while (n > 0)
        close(fd[--n]);
    close(listener);
}

static void *unix_client(void *arg)
{
    char c;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(fd, arg, sizeof(struct sockaddr_un)) == 0);
    CHECK(read(fd, &c, 1) == 1);
    close(fd);
    return NULL;
}

static void unix_backlog(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    pthread_t t[10];
    snprintf(a.sun_path, sizeof a.sun_path, "/tmp/preloom-io-%d", (int)getpid());
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
    for (int i = 0; i < 10; i++)
        t[i] = start(unix_client, &a);
    settle();
    for (int i = 0; i < 10; i++) {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0 && write(fd, "u", 1) == 1);
        close(fd);
    }
    for (int i = 0; i < 10; i++)
        join(t[i]);
    unlink(a.sun_path);
    close(listener);
}

int main(void)
{
    join(start(nothing, NULL));
    many();
    refused();
    nonblocking();
    stuck();
    unix_backlog();
    puts("connects ok");
    return 0;
}
