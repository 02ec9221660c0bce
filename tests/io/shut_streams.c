/* shut_streams.c: an AF_UNIX stream that another thread shuts down for writing ends the sends that wait for room in it, with what
 * was sent or EPIPE. A TCP send that waits for room goes on when the peer has shut down its side. */
#include "iotest.h"

enum { CALLS = 4, BIG = 16 << 20, TCP_BIG = 4 << 20 };

static int s[2], call;
static char *big;

static ssize_t sends(size_t size)
{
    struct iovec v[2] = { { big, size / 2 }, { big + size / 2, size - size / 2 } };
    struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
    switch (call) {
    case 0:
        return write(s[0], big, size);
    case 1:
        return send(s[0], big, size, MSG_NOSIGNAL);
    case 2:
        return writev(s[0], v, 2);
    default:
        return sendmsg(s[0], &m, MSG_NOSIGNAL);
    }
}

static void *is_cut(void *arg)
{
    ssize_t n = sends(BIG);
    CHECK(n > 0 && n < BIG);
    return arg;
}

static void *finds_no_room(void *arg)
{
    CHECK(sends(1) < 0 && errno == EPIPE);
    return arg;
}

static void *sends_all(void *arg)
{
    CHECK(sends(TCP_BIG) == TCP_BIG);
    return arg;
}

static void of_unix(void)
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pthread_t first = start(is_cut, NULL);
    settle();
    pthread_t second = start(finds_no_room, NULL);
    settle();
    CHECK(shutdown(s[0], SHUT_RD) == 0);
    CHECK(shutdown(s[0], SHUT_WR) == 0);
    join(first);
    join(second);
    close(s[0]);
    close(s[1]);
}

static void of_tcp(void)
{
    tcp_pair(s);
    pthread_t t = start(sends_all, NULL);
    settle();
    CHECK(shutdown(s[1], SHUT_RDWR) == 0);
    join(t);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    big = calloc(1, BIG);
    CHECK(big != NULL);
    for (call = 0; call < CALLS; call++) {
        of_unix();
        of_tcp();
    }
    return 0;
}
