/* shut_datagrams.c: shutdown of a datagram socket ends the receiving calls of other threads, and those that come after it; one
 * that is not to wait has EAGAIN. What is there is received first. UDP, connected or not, and AF_UNIX. */
#include "iotest.h"
#include <sys/un.h>

enum { CALLS = 5 };

struct receiver {
    int fd, call;
};

static ssize_t receive(int fd, int call, int flags)
{
    char b[8] = "";
    struct iovec v = { b, sizeof b };
    struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
    switch (call) {
    case 0:
        return recv(fd, b, sizeof b, flags);
    case 1:
        return flags ? recv(fd, b, sizeof b, flags) : read(fd, b, sizeof b);
    case 2:
        return flags ? recv(fd, b, sizeof b, flags) : readv(fd, &v, 1);
    case 3:
        return recvmsg(fd, &m.msg_hdr, flags);
    default:
        return recvmmsg(fd, &m, 1, flags, NULL) == 1 ? (ssize_t)m.msg_len : -1;
    }
}

static void *receives(void *arg)
{
    struct receiver *r = arg;
    CHECK(receive(r->fd, r->call, 0) == 0);
    return NULL;
}

static void shut(int fd, int how)
{
    CHECK(shutdown(fd, how) == 0 || errno == ENOTCONN); /* and wakes all the same */
}

static int udp(struct sockaddr_in *a)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof *a;
    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)a, len) == 0 && getsockname(fd, (struct sockaddr *)a, &len) == 0);
    return fd;
}

static int make(int what)
{
    struct sockaddr_in a;
    struct sockaddr_un u = { .sun_family = AF_UNIX };
    int s[2];
    switch (what) {
    case 0:
        return udp(&a);
    case 1:
        s[0] = udp(&a);
        CHECK(connect(s[0], (struct sockaddr *)&a, sizeof a) == 0);
        return s[0];
    case 2:
        s[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
        CHECK(bind(s[0], (struct sockaddr *)&u, sizeof u.sun_family) == 0);
        return s[0];
    default:
        CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
        CHECK(send(s[1], "hello", 5, 0) == 5 && receive(s[0], 0, 0) == 5);
        return s[0]; /* the peer stays open */
    }
}

static void ends(int what, int call, int how, int timeout)
{
    struct receiver r[2] = { { make(what), call }, { 0, (call + 1) % CALLS } };
    int fd = r[1].fd = r[0].fd;
    if (timeout) {
        struct timeval tv = { 60, 0 };
        CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    }
    pthread_t t[2] = { start(receives, &r[0]), start(receives, &r[1]) };
    if (call)
        settle();
    shut(fd, how);
    join(t[0]);
    join(t[1]);
    join(start(receives, &r[0])); /* one that comes later */
    CHECK(receive(fd, call, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && receive(fd, call, 0) == -1 && errno == EAGAIN);
    close(fd);
}

/* Nobody has waited on it before. */
static void reads_first(int call)
{
    int s[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && send(s[1], "hello", 5, 0) == 5);
    shut(s[0], SHUT_RD);
    CHECK(receive(s[0], call, 0) == 5 && receive(s[0], call, 0) == 0);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    for (int what = 0; what < 4; what++)
        for (int call = 0; call < CALLS; call++)
            ends(what, call, call & 1 ? SHUT_RD : SHUT_RDWR, call == 2);
    for (int call = 0; call < CALLS; call++)
        reads_first(call);
    return 0;
}
