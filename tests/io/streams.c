/* streams.c: stream sockets, TCP and Unix: partial sends that go on, MSG_WAITALL, MSG_PEEK, MSG_DONTWAIT, timeouts,
 * shutdown, half-close, a byte at a time, SIGPIPE. */
#include "iotest.h"
#include <sys/time.h>

enum { BIG = 8 << 20 };

static int s[2];
static unsigned char *big, *got;
static volatile sig_atomic_t pipes;

static void make(int tcp)
{
    if (tcp)
        tcp_pair(s);
    else
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
}

static void end(void)
{
    close(s[0]);
    close(s[1]);
}

static void *by_write(void *arg)
{
    (void)arg;
    CHECK(write(s[0], big, BIG) == BIG);
    return NULL;
}

static void *by_send(void *arg)
{
    (void)arg;
    CHECK(send(s[0], big, BIG, 0) == BIG);
    return NULL;
}

static void vector(struct iovec *v)
{
    for (int i = 0; i < 9; i++)
        v[i] = (struct iovec){ big + i * (BIG / 9), i < 8 ? BIG / 9 : BIG - 8 * (BIG / 9) };
}

static void *by_writev(void *arg)
{
    struct iovec v[9];
    (void)arg;
    vector(v);
    CHECK(writev(s[0], v, 9) == BIG);
    return NULL;
}

static void *by_sendmsg(void *arg)
{
    struct iovec v[9];
    struct msghdr h = { .msg_iov = v, .msg_iovlen = 9 };
    (void)arg;
    vector(v);
    CHECK(sendmsg(s[0], &h, 0) == BIG);
    return NULL;
}

static void check_got(void)
{
    CHECK(memcmp(got, big, BIG) == 0);
    memset(got, 0, BIG);
}

static void large(int tcp, void *(*sender)(void *))
{
    make(tcp);
    pthread_t t = start(sender, NULL);
    settle();
    read_exact(s[1], got, BIG);
    check_got();
    join(t);
    t = start(sender, NULL);
    CHECK(recv(s[1], got, BIG, MSG_WAITALL) == BIG);
    check_got();
    join(t);
    t = start(sender, NULL);
    for (size_t done = 0; done < BIG;) {
        struct iovec v[2] = { { got + done, 1000 }, { got + done + 1000, 3000 } };
        if (BIG - done < 4000)
            v[0].iov_len = BIG - done, v[1].iov_len = 0;
        ssize_t n = readv(s[1], v, 2);
        CHECK(n > 0);
        done += (size_t)n;
    }
    check_got();
    join(t);
    end();
}

static void *sends_slowly(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        msleep(5);
        CHECK(write(s[0], &"0123456789"[i], 1) == 1);
    }
    CHECK(shutdown(s[0], SHUT_WR) == 0);
    return NULL;
}

static void slow(int tcp)
{
    char b[32];
    make(tcp);
    pthread_t t = start(sends_slowly, NULL);
    CHECK(recv(s[1], b, 5, MSG_WAITALL) == 5 && !memcmp(b, "01234", 5));
    if (tcp) /* AF_UNIX does not wait for more when peeking */
        CHECK(recv(s[1], b, 3, MSG_PEEK | MSG_WAITALL) == 3 && !memcmp(b, "567", 3));
    struct iovec v = { b, 3 };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
    CHECK(recvmsg(s[1], &h, MSG_WAITALL) == 3 && !memcmp(b, "567", 3));
    CHECK(recv(s[1], b, 10, MSG_WAITALL) == 2 && !memcmp(b, "89", 2)); /* then the end */
    CHECK(recv(s[1], b, 10, 0) == 0);
    CHECK(write(s[1], "back", 4) == 4); /* half-closed: the other way is open */
    CHECK(read(s[0], b, 10) == 4);
    join(t);
    end();
}

static void *byte_by_byte(void *arg)
{
    char c;
    ssize_t n;
    (void)arg;
    while ((n = read(s[1], &c, 1)) == 1)
        CHECK(write(s[1], &c, 1) == 1);
    CHECK(n == 0);
    return NULL;
}

static void ping(int tcp)
{
    char b[4096] = "x";
    make(tcp);
    pthread_t t = start(byte_by_byte, NULL);
    for (int i = 0; i < 3000; i++) {
        CHECK(write(s[0], b, 1) == 1);
        CHECK(read(s[0], b, i % 2 ? 1 : sizeof b) == 1);
    }
    CHECK(write(s[0], b, 100) == 100);
    CHECK(recv(s[0], b, 100, MSG_WAITALL) == 100);
    shutdown(s[0], SHUT_WR);
    join(t);
    end();
}

static void *peeked_to(void *arg)
{
    char b[100];
    for (int i = 0; i < 50; i++) {
        ssize_t n = recv(s[1], b, sizeof b, MSG_PEEK);
        CHECK(n == 6);
        CHECK(recv(s[1], b, 3, 0) == 3 && recv(s[1], b, sizeof b, 0) == 3);
        CHECK(write(s[1], "k", 1) == 1);
    }
    return arg;
}

static void peeks(int tcp)
{
    char b[8];
    make(tcp);
    pthread_t t = start(peeked_to, NULL);
    for (int i = 0; i < 50; i++) {
        if (i % 10 == 0)
            msleep(5);
        CHECK(write(s[0], "abcdef", 6) == 6);
        CHECK(read(s[0], b, 8) == 1);
    }
    join(t);
    end();
}

static void timeouts(int tcp)
{
    struct timeval tv = { 0, 60000 }, none = { 0, 0 };
    char b[8];
    make(tcp);
    CHECK_ERRNO(recv(s[0], b, 8, MSG_DONTWAIT), EAGAIN);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    int64_t t0 = now_ms();
    CHECK_ERRNO(read(s[0], b, 8), EAGAIN);
    CHECK(now_ms() - t0 >= 58 && now_ms() - t0 < 30000);
    CHECK(write(s[1], "ab", 2) == 2);
    t0 = now_ms();
    CHECK(recv(s[0], b, 8, MSG_WAITALL) == 2);
    CHECK(now_ms() - t0 >= 58);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
    ssize_t n = write(s[0], big, BIG);
    CHECK(n > 0 && n < BIG);
    while (n > 0) /* a TCP buffer may have grown */
        n = write(s[0], big, BIG);
    CHECK(n == -1 && errno == EAGAIN);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) == 0);
    end();
}

static void *blocked_read(void *arg)
{
    char c;
    CHECK(read(s[0], &c, 1) == 0);
    return arg;
}

static void shut(int tcp)
{
    make(tcp);
    pthread_t t = start(blocked_read, NULL);
    settle();
    CHECK(shutdown(s[0], SHUT_RDWR) == 0);
    join(t);
    end();
    make(tcp);
    t = start(blocked_read, NULL);
    settle();
    close(s[1]);
    join(t);
    close(s[0]);
}

static void on_pipe(int sig)
{
    (void)sig;
    pipes++;
}

static void broken(void)
{
    make(0);
    close(s[1]);
    pipes = 0;
    CHECK_ERRNO(write(s[0], "x", 1), EPIPE);
    CHECK(pipes == 1);
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(pipes == 1);
    CHECK(write(s[0], "", 0) <= 0);
    close(s[0]);
}

static void *closes_late(void *arg)
{
    (void)arg;
    all_settle();
    close(s[1]);
    return NULL;
}

static void broken_midway(void)
{
    make(0);
    pipes = 0;
    pthread_t t = start(closes_late, NULL);
    ssize_t n = write(s[0], big, BIG);
    CHECK(n > 0 && n < BIG && pipes == 0); /* a part was sent: no error yet */
    CHECK_ERRNO(write(s[0], big, BIG), EPIPE);
    CHECK(pipes == 1);
    join(t);
    close(s[0]);
}

int main(void)
{
    struct sigaction sa = { .sa_handler = on_pipe };
    sigaction(SIGPIPE, &sa, NULL);
    big = malloc(BIG);
    got = calloc(1, BIG);
    fill(big, BIG, 5);
    join(start(nothing, NULL));
    void *(*senders[])(void *) = { by_write, by_send, by_writev, by_sendmsg };
    for (int tcp = 0; tcp < 2; tcp++) {
        for (int i = 0; i < 4; i++)
            large(tcp, senders[i]);
        slow(tcp);
        ping(tcp);
        peeks(tcp);
        timeouts(tcp);
        shut(tcp);
    }
    broken();
    broken_midway();
    puts("streams ok");
    return 0;
}
