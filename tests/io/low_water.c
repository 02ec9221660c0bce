/* low_water.c: what ends a wait for so much (SO_RCVLOWAT) before there is so much: the socket's timeout, a signal, the end,
 * O_NONBLOCK. The call returns what there is. */
#include "iotest.h"

#define LOW 1000

static int fds[2];
static atomic_int handled;

static const char *outcome(ssize_t r)
{
    static __thread char text[64];
    snprintf(text, sizeof text, "%zd", r);
    return r < 0 ? strerror(errno) : text;
}

static void handler(int sig)
{
    (void)sig;
    handled++;
}

static void *reads(void *arg)
{
    char buf[4000];
    struct iovec v[] = {{buf, 10}, {buf + 10, sizeof(buf) - 10}};
    struct msghdr h = {.msg_iov = v, .msg_iovlen = 2};
    switch (*(const char *)arg) {
    case 'r':
        return strdup(outcome(read(fds[0], buf, sizeof(buf))));
    case 'v':
        return strdup(outcome(readv(fds[0], v, 2)));
    case 's': /* less than the mark */
        return strdup(outcome(recv(fds[0], buf, 200, 0)));
    default:
        return strdup(outcome(recvmsg(fds[0], &h, 0)));
    }
}

static void make(int tcp)
{
    struct sockaddr_in a;
    int low = LOW;
    if (tcp) {
        int l = listen_tcp(&a, 1);
        fds[1] = connect_tcp(&a);
        fds[0] = accept(l, NULL, NULL);
        close(l);
    } else {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    }
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) == 0);
}

static void set_timeout(void)
{
    struct timeval tv = {0, 100000};
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
}

/* There are `n` bytes, before the reader comes or while it waits, and then what is to end the wait. */
static void one(const char *what, int tcp, const char *how, size_t n, const char *end)
{
    static char some[LOW];
    make(tcp);
    if (*end == 't')
        set_timeout();
    if (*end == 'n')
        CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    int before = *end == 'n' || *end == 't';
    if (before && n)
        CHECK(send(fds[1], some, n, 0) == (ssize_t)n);
    pthread_t t = start(reads, (void *)how);
    if (!before) {
        all_settle();
        CHECK(!n || send(fds[1], some, n, 0) == (ssize_t)n);
        all_settle();
    }
    if (*end == 's')
        CHECK(pthread_kill(t, SIGUSR1) == 0);
    if (*end == 'e')
        shutdown(fds[1], SHUT_WR);
    printf("%s, %s, %zu there, %s: %s\n", tcp ? "TCP" : "Unix", what, n, end, (char *)join(t));
    close(fds[0]), close(fds[1]);
}

int main(void)
{
    static const char *const how[] = {"read", "v", "message"};
    static const char *const end[] = {"timeout", "signal", "end", "non-blocking"};
    struct sigaction sa = {.sa_handler = handler};
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    for (int tcp = 0; tcp < 2; tcp++) {
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 4; k++)
                for (size_t n = 0; n <= 300; n += 300)
                    one(how[i], tcp, how[i], n, end[k]);
        one("short", tcp, "s", 300, "timeout");
    }
    CHECK(handled == 12);
    return 0;
}
