/* datagrams.c: UDP and Unix datagrams and records: several readers, recvmmsg and sendmmsg, a full queue, ancillary data. */
#include "iotest.h"
#include <sys/un.h>

enum { READERS = 6, N = 600 };

static int u, v, s[2];
static struct sockaddr_in to;
static atomic_int got, sum;

static void make_udp(void)
{
    socklen_t len = sizeof to;
    u = socket(AF_INET, SOCK_DGRAM, 0);
    v = socket(AF_INET, SOCK_DGRAM, 0);
    to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK(bind(u, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(getsockname(u, (struct sockaddr *)&to, &len) == 0);
}

static void *udp_reader(void *arg)
{
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    int item;
    for (;;) {
        CHECK(recvfrom(u, &item, sizeof item, 0, (struct sockaddr *)&from, &len) == sizeof item);
        CHECK(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
        if (item < 0)
            return arg;
        atomic_fetch_add(&sum, item);
        atomic_fetch_add(&got, 1);
    }
}

static void send_item(int item)
{
    CHECK(sendto(v, &item, sizeof item, 0, (struct sockaddr *)&to, sizeof to) == sizeof item);
}

static void several_readers(void)
{
    pthread_t t[READERS];
    int want = 0;
    for (int i = 0; i < READERS; i++)
        t[i] = start(udp_reader, NULL);
    settle();
    for (int i = 1; i <= N; i++) {
        send_item(i);
        want += i;
        while (i % 50 == 0 && got < i)
            msleep(1);
    }
    for (int i = 0; i < READERS; i++)
        send_item(-1);
    for (int i = 0; i < READERS; i++)
        join(t[i]);
    CHECK(got == N && sum == want);
}

static void *sends_many(void *arg)
{
    struct mmsghdr m[10] = { 0 };
    struct iovec io[10];
    int item[10];
    for (int i = 0; i < 10; i++) {
        item[i] = i;
        io[i] = (struct iovec){ &item[i], sizeof(int) };
        m[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &io[i], .msg_iovlen = 1 };
    }
    settle();
    CHECK(sendmmsg(v, m, 4, 0) == 4);
    settle();
    CHECK(sendmmsg(v, m + 4, 6, 0) == 6);
    return arg;
}

static void many_at_once(void)
{
    struct mmsghdr m[10] = { 0 };
    struct iovec io[10];
    int item[10];
    for (int i = 0; i < 10; i++) {
        io[i] = (struct iovec){ &item[i], sizeof(int) };
        m[i].msg_hdr = (struct msghdr){ .msg_iov = &io[i], .msg_iovlen = 1 };
    }
    pthread_t t = start(sends_many, NULL);
    CHECK(recvmmsg(u, m, 10, 0, NULL) == 10);
    for (int i = 0; i < 10; i++)
        CHECK(item[i] == i && m[i].msg_len == sizeof(int));
    join(t);
    t = start(sends_many, NULL);
    int n = 0;
    while (n < 10) {
        int r = recvmmsg(u, m, 10, MSG_WAITFORONE, NULL);
        CHECK(r > 0);
        n += r;
    }
    join(t);
    struct timespec ts = { 0, 50000000 };
    CHECK_ERRNO(recvmmsg(u, m, 10, MSG_DONTWAIT, &ts), EAGAIN);
}

static void *drains(void *arg)
{
    char b[64];
    settle();
    for (int i = 0; i < N; i++)
        CHECK(recv(s[1], b, sizeof b, 0) == 7);
    return arg;
}

/* The queue of a Unix datagram socket holds few messages: the sender waits. */
static void full_queue(int type)
{
    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
    pthread_t t = start(drains, NULL);
    for (int i = 0; i < N; i++)
        CHECK((i % 2 ? write(s[0], "message", 7) : send(s[0], "message", 7, 0)) == 7);
    join(t);
    CHECK(write(s[0], "", 0) == 0);
    char b[8];
    CHECK(recv(s[1], b, 8, 0) == 0); /* an empty message */
    close(s[0]);
    close(s[1]);
}

static void *passes(void *arg)
{
    int p[2];
    char c = 'm', control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec io = { &c, 1 };
    struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *m = CMSG_FIRSTHDR(&h);
    CHECK(pipe(p) == 0);
    *m = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
    memcpy(CMSG_DATA(m), &p[0], sizeof(int));
    settle();
    CHECK(sendmsg(s[0], &h, 0) == 1);
    close(p[0]);
    settle();
    CHECK(write(p[1], "through", 7) == 7);
    close(p[1]);
    return arg;
}

static void rights(void)
{
    char c, b[16], control[CMSG_SPACE(sizeof(int))];
    struct iovec io = { &c, 1 };
    struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    int fd;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pthread_t t = start(passes, NULL);
    CHECK(recvmsg(s[1], &h, 0) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof fd);
    CHECK(read(fd, b, sizeof b) == 7);
    CHECK(read(fd, b, sizeof b) == 0);
    close(fd);
    join(t);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    join(start(nothing, NULL));
    make_udp();
    several_readers();
    many_at_once();
    full_queue(SOCK_DGRAM);
    full_queue(SOCK_SEQPACKET);
    rights();
    puts("datagrams ok");
    return 0;
}
