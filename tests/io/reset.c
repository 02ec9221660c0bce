/* reset.c: a connection is reset while a call that has received or sent a part waits for the rest: the call returns the part, the
 * next one is told of the reset, once. */
#include "iotest.h"

#define MUCH (64 << 20)

static int fds[2];
static char *much;

enum call { Recv, Recvmsg, Send, Writev, End };
static const char *const names[] = {"recv", "recvmsg", "send", "writev"};

static ssize_t once(enum call call, size_t n)
{
    struct iovec v[] = {{much, n / 2}, {much + n / 2, n - n / 2}};
    struct msghdr h = {.msg_iov = v, .msg_iovlen = 2};
    switch (call) {
    case Recv:
        return recv(fds[0], much, n, MSG_WAITALL);
    case Recvmsg:
        return recvmsg(fds[0], &h, MSG_WAITALL);
    case Send:
        return send(fds[0], much, n, MSG_NOSIGNAL);
    default:
        return writev(fds[0], v, 2);
    }
}

static void *calls(void *arg)
{
    enum call call = (enum call)(intptr_t)arg;
    for (int i = 0; i < 3; i++) {
        ssize_t n = once(call, i == 0 ? MUCH : 10);
        printf("%s: %s\n", names[call], n < 0 ? strerror(errno) : n == MUCH ? "all" : n ? "a part" : "the end");
    }
    return NULL;
}

static void run(enum call call, int seconds)
{
    struct linger reset = {1, 0};
    struct timeval tv = {seconds, 0};
    tcp_pair(fds);
    CHECK(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    pthread_t t = start(calls, (void *)call);
    all_settle();
    if (call <= Recvmsg)
        CHECK(send(fds[1], "part", 4, 0) == 4);
    all_settle();
    close(fds[1]);
    join(t);
    close(fds[0]);
}

int main(void)
{
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    much = calloc(1, MUCH);
    CHECK(much);
    for (int seconds = 0; seconds <= 60; seconds += 60)
        for (enum call call = Recv; call < End; call++)
            run(call, seconds);
    return 0;
}
