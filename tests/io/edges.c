/* edges.c: odd arguments to calls on descriptors, what they answer, printed: the native run says what is right. Lengths of
 * zero on every kind of descriptor, 1024 parts and one more, a bad address in the middle, negative numbers in poll,
 * numbers beyond FD_SETSIZE in select, MSG_TRUNC and MSG_PEEK, O_NONBLOCK set while another thread waits. */
#include "iotest.h"
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static void say(const char *what, long ret)
{
    printf("%s: %ld%s%s\n", what, ret, ret < 0 ? " " : "", ret < 0 ? strerrorname_np(errno) : "");
}

static volatile int minus_one = -1;
static struct iovec *volatile no_parts;
static unsigned char *good, *bad; /* bad: a page that cannot be touched, right behind good's two */
static int beyond[2] = { -1, -1 }; /* a pipe with high numbers, made before the process had threads */

/* --- lengths of zero --- */

static void zero_on(const char *name, int rd, int wr)
{
    struct iovec none[2] = { { good, 0 }, { good, 0 } };
    printf("%s, zero bytes\n", name);
    if (rd >= 0) {
        say("  read", read(rd, good, 0));
        say("  read null", read(rd, NULL, 0));
        say("  readv 0", readv(rd, none, 0));
        say("  readv 2", readv(rd, none, 2));
    }
    if (wr >= 0) {
        say("  write", write(wr, good, 0));
        say("  write null", write(wr, NULL, 0));
        say("  writev 0", writev(wr, none, 0));
        say("  writev 2", writev(wr, none, 2));
    }
}

static void zeros(void)
{
    int p[2];
    char path[] = "/tmp/preloom-io-XXXXXX";
    CHECK(pipe(p) == 0);
    zero_on("pipe", p[0], p[1]);
    zero_on("pipe, wrong ends", p[1], p[0]);
    close(p[1]);
    zero_on("pipe, no writer", p[0], -1);
    close(p[0]);
    CHECK(pipe(p) == 0);
    close(p[0]);
    zero_on("pipe, no reader", -1, p[1]);
    close(p[1]);
    tcp_pair(p);
    zero_on("TCP", p[0], p[1]);
    say("  send", send(p[0], good, 0, 0));
    say("  sendto null", sendto(p[0], NULL, 0, 0, NULL, 0));
    shutdown(p[0], SHUT_WR);
    close(p[1]);
    close(p[0]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    zero_on("Unix stream", p[0], p[1]);
    close(p[0]), close(p[1]);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
    zero_on("Unix datagram", p[0], p[1]);
    for (int i = 0; i < 5; i++)
        say("  recv after", recv(p[0], good, 10, MSG_DONTWAIT));
    close(p[0]), close(p[1]);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
    zero_on("Unix record", p[0], p[1]);
    say("  recv after", recv(p[0], good, 10, MSG_DONTWAIT));
    close(p[0]), close(p[1]);
    int fd = eventfd(1, 0);
    zero_on("eventfd", fd, fd);
    close(fd);
    fd = timerfd_create(CLOCK_MONOTONIC, 0);
    zero_on("timerfd", fd, fd);
    close(fd);
    fd = inotify_init();
    zero_on("inotify", -1, fd);
    close(fd);
    fd = epoll_create1(0);
    zero_on("epoll", fd, fd);
    close(fd);
    fd = mkstemp(path);
    CHECK(fd >= 0);
    zero_on("file", fd, fd);
    close(fd);
    unlink(path);
    fd = open("/dev/null", O_RDWR);
    zero_on("/dev/null", fd, fd);
    close(fd);
    fd = open("/tmp", O_RDONLY);
    zero_on("directory", fd, fd);
    close(fd);
    zero_on("no descriptor", 999, 999);
    zero_on("negative", -5, -5);
    say("read -1", read(-1, good, 1));
    say("write -1", write(-1, good, 1));
    int l = socket(AF_INET, SOCK_STREAM, 0);
    zero_on("unconnected TCP", l, l);
    say("  read 1", read(l, good, 1));
    close(l);
}

/* --- many parts, bad addresses --- */

/* What there is to read now: TCP may need a moment, also on loopback. */
static long rest(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };
    poll(&p, 1, 50);
    long n = recv(fd, good, 100, MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        n = read(fd, good, 100);
    int err = errno;
    fcntl(fd, F_SETFL, 0);
    errno = err;
    return n;
}

static void parts_on(const char *name, int rd, int wr)
{
    struct iovec v[1025];
    for (int i = 0; i < 1025; i++)
        v[i] = (struct iovec){ good + i, 1 };
    printf("%s, parts\n", name);
    say("  writev 1024", writev(wr, v, 1024));
    say("  readv 1024", readv(rd, v, 1024));
    say("  writev 1025", writev(wr, v, 1025));
    say("  readv 1025", readv(rd, v, 1025));
    say("  writev -1", writev(wr, v, minus_one));
    say("  writev null", writev(wr, no_parts, 2));
    v[1].iov_len = (size_t)-1;
    say("  writev negative", writev(wr, v, 3));
    say("  readv negative", readv(rd, v, 3));
    v[0] = (struct iovec){ good, 10 };
    v[1] = (struct iovec){ bad, 10 };
    v[2] = (struct iovec){ good, 10 };
    long n = writev(wr, v, 3);
    say("  writev bad middle", n);
    if (n > 0)
        say("  read it", read(rd, good, 100));
    v[0].iov_base = bad;
    v[1].iov_base = good;
    say("  writev bad first", writev(wr, v, 3));
    CHECK(write(wr, good, 25) == 25);
    v[0].iov_base = good;
    v[1].iov_base = bad;
    say("  readv bad middle", readv(rd, v, 3));
    say("  read the rest", rest(rd));
    say("  write bad", write(wr, bad, 10));
    say("  write half bad", write(wr, bad - 5, 10));
    say("  read it", rest(rd));
    CHECK(write(wr, good, 4) == 4);
    say("  read bad", read(rd, bad, 4));
    say("  read it", rest(rd));
    close(rd), close(wr);
}

static void parts(void)
{
    int p[2];
    CHECK(pipe(p) == 0);
    parts_on("pipe", p[0], p[1]);
    tcp_pair(p);
    parts_on("TCP", p[0], p[1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    parts_on("Unix stream", p[0], p[1]);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
    parts_on("Unix datagram", p[0], p[1]);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
    parts_on("Unix record", p[0], p[1]);
}

/* Calls that are refused at once although nobody comes and nothing is there. */
static void refused(void)
{
    int p[2];
    struct sockaddr_in a;
    struct iovec v = { good, 4 };
    CHECK(pipe(p) == 0);
    say("preadv2 with an unknown flag", preadv2(p[0], &v, 1, -1, 0x40000000));
    say("pwritev2 with an unknown flag", pwritev2(p[1], &v, 1, -1, 0x40000000));
    say("preadv2 of a pipe at 0", preadv2(p[0], &v, 1, 0, 0));
    say("tee to the same pipe", tee(p[0], p[1], 10, 0));
    say("splice to the same pipe", splice(p[0], NULL, p[1], NULL, 10, 0));
    int q[2];
    CHECK(pipe(q) == 0);
    say("tee from the wrong end", tee(p[1], q[1], 10, 0));
    say("splice from the wrong end", splice(p[1], NULL, q[1], NULL, 10, 0));
    say("splice to the wrong end", splice(p[0], NULL, q[0], NULL, 10, 0));
    close(q[0]), close(q[1]);
    say("pwritev2", pwritev2(p[1], &v, 1, -1, 0));
    say("preadv2", preadv2(p[0], &v, 1, -1, 0));
    close(p[0]), close(p[1]);
    int l = listen_tcp(&a, 4);
    say("accept4 with an unknown flag", accept4(l, NULL, NULL, 0x12345));
    close(l);
    say("accept4 on nothing", accept4(l, NULL, NULL, 0x12345));
    l = socket(AF_INET, SOCK_STREAM, 0);
    say("accept without listen", accept(l, NULL, NULL));
    close(l);
}

/* --- poll and select --- */

static void *writes_later(void *arg)
{
    settle();
    CHECK(write((int)(intptr_t)arg, "x", 1) == 1);
    return NULL;
}

static void polls(void)
{
    int p[2], q[2];
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    struct pollfd f[6] = { { -1, POLLIN, 77 },        { p[0], POLLIN, 77 }, { -1000000, POLLIN, 77 },
                           { q[0], POLLIN | POLLPRI, 77 }, { -p[0], POLLIN, 77 }, { p[0], 0, 77 } };
    pthread_t t = start(writes_later, (void *)(intptr_t)p[1]);
    say("poll with negative ones", poll(f, 6, -1));
    for (int i = 0; i < 6; i++)
        printf("  %d: %x\n", i, f[i].revents);
    join(t);
    f[3].fd = 999;
    say("poll with a closed one", poll(f, 6, -1));
    for (int i = 0; i < 6; i++)
        printf("  %d: %x\n", i, f[i].revents);
    say("poll of negative ones only", poll(f, 1, 20));
    say("poll of nothing", poll(NULL, 0, 20));
    say("poll of a bad address", poll((struct pollfd *)bad, 2, 20));
    say("poll half bad", poll((struct pollfd *)(bad - 8), 2, 20));
    say("poll of too many", poll(f, (nfds_t)minus_one, 20));
    f[0] = (struct pollfd){ p[0], POLLIN, 0 };
    f[1] = (struct pollfd){ p[0], POLLIN, 0 };
    say("poll twice the same", poll(f, 2, -1));
    say("ppoll bad timeout", ppoll(f, 2, &(struct timespec){ 0, 1000000000 }, NULL));
    say("ppoll negative timeout", ppoll(f, 2, &(struct timespec){ -1, 0 }, NULL));
    close(p[1]), close(q[0]);
    f[0].events = 0;
    f[1] = (struct pollfd){ q[1], POLLOUT, 0 };
    say("poll of ends", poll(f, 2, -1));
    printf("  %x %x\n", f[0].revents, f[1].revents);
    close(p[0]), close(q[1]);
}

#define BIG 4096
static unsigned long big_in[BIG / 64 * 4], big_out[BIG / 64 * 4];

static void big_set(unsigned long *w, int fd)
{
    w[fd / 64] |= 1UL << fd % 64;
}

static int big_has(const unsigned long *w, int fd)
{
    return (int)(w[fd / 64] >> fd % 64 & 1);
}

static void selects(void)
{
    struct timeval tv = { 0, 30000 }, zero = { 0, 0 };
    if (beyond[0] < 0) {
        puts("select beyond FD_SETSIZE: no such numbers here");
        return;
    }
    for (int round = 0; round < 3; round++) {
        memset(big_in, 0, sizeof big_in);
        big_set(big_in, beyond[0]);
        tv.tv_usec = 30000;
        say("select beyond, empty", select(beyond[0] + 1, (fd_set *)big_in, NULL, NULL, round == 1 ? &zero : &tv));
        printf("  %d\n", big_has(big_in, beyond[0]));
        big_set(big_in, beyond[0]);
        big_set(big_out, beyond[1]);
        say("select beyond, to write", select(beyond[1] + 1, NULL, (fd_set *)big_out, NULL, round == 1 ? &zero : NULL));
        printf("  %d\n", big_has(big_out, beyond[1]));
        pthread_t t = start(writes_later, (void *)(intptr_t)beyond[1]);
        say("select beyond, to read", select(beyond[0] + 1, (fd_set *)big_in, NULL, NULL, NULL));
        printf("  %d\n", big_has(big_in, beyond[0]));
        join(t);
        CHECK(read(beyond[0], good, 1) == 1);
    }
    memset(big_in, 0, sizeof big_in);
    memset(big_out, 0, sizeof big_out);
    big_set(big_out, beyond[1]);
    big_set(big_out, beyond[1] + 1);
    say("select beyond, a closed one", select(beyond[1] + 2, NULL, (fd_set *)big_out, NULL, &zero));
    say("select -1", select(-1, NULL, NULL, NULL, &zero));
    say("select of a bad address", select(64, (fd_set *)bad, NULL, NULL, &zero));
    fd_set set;
    FD_ZERO(&set);
    say("select huge", select(2000000000, &set, NULL, NULL, &zero) >= -1 ? 0 : 1);
}

/* --- MSG_ flags --- */

static void flags(void)
{
    int s[2];
    unsigned char b[64];
    struct iovec v = { b, 4 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    for (int kind = 0; kind < 4; kind++) {
        const char *names[] = { "TCP", "Unix stream", "Unix datagram", "Unix record" };
        int types[] = { 0, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
        if (kind == 0)
            tcp_pair(s);
        else
            CHECK(socketpair(AF_UNIX, types[kind], 0, s) == 0);
        printf("%s, flags\n", names[kind]);
        CHECK(send(s[1], "0123456789", 10, 0) == 10 && send(s[1], "abcdefghij", 10, 0) == 10);
        settle();
        say("  peek", recv(s[0], b, 4, MSG_PEEK));
        say("  peek all", recv(s[0], b, 6, MSG_PEEK | MSG_WAITALL));
        say("  peek and truncate", recv(s[0], b, 4, MSG_PEEK | MSG_TRUNC));
        say("  truncate", recv(s[0], b, 4, MSG_TRUNC));
        m.msg_flags = 0;
        say("  recvmsg", recvmsg(s[0], &m, 0));
        printf("  %x\n", m.msg_flags & (MSG_TRUNC | MSG_EOR));
        if (kind < 2) {
            say("  all", recv(s[0], b, 12, MSG_WAITALL));
            say("  recv none", recv(s[0], b, 0, MSG_DONTWAIT));
        }
        say("  out of band", recv(s[0], b, 1, MSG_OOB));
        if (kind == 0) /* elsewhere this flag says nothing */
            say("  error queue", recv(s[0], b, 1, MSG_ERRQUEUE));
        say("  recv bad address", (send(s[1], "z", 1, 0), recv(s[0], bad, 1, 0)));
        say("  sendto with an address", sendto(s[0], "q", 1, 0, (struct sockaddr *)b, 3));
        say("  send bad", send(s[0], bad, 3, 0));
        close(s[1]);
        if (kind) /* TCP's answer depends on how fast the reset comes */
            say("  send to the end", send(s[0], "q", 1, MSG_NOSIGNAL) == 1 ? 0 : -1);
        close(s[0]);
    }
}

/* --- what another thread does to a descriptor on which one waits --- */

static atomic_int answered, asking;

static void *waits_to_read(void *arg)
{
    unsigned char b[4];
    atomic_store(&asking, 1);
    long n = read((int)(intptr_t)arg, b, 4);
    atomic_store(&answered, 1);
    return (void *)n;
}

static pthread_t start_reader(int fd)
{
    atomic_store(&asking, 0);
    atomic_store(&answered, 0);
    pthread_t t = start(waits_to_read, (void *)(intptr_t)fd);
    while (!atomic_load(&asking))
        msleep(1);
    msleep(200);
    all_settle(); /* it has blocked by now, also on a busy machine */
    return t;
}

static void nonblocking_meanwhile(int rd, int wr)
{
    pthread_t t = start_reader(rd);
    CHECK(fcntl(rd, F_SETFL, O_NONBLOCK) == 0);
    settle();
    say("  answered at once", atomic_load(&answered));
    CHECK(write(wr, "ab", 2) == 2);
    say("  read", (long)join(t));
    say("  next", read(rd, good, 4));
    CHECK(fcntl(rd, F_SETFL, 0) == 0);
    t = start_reader(rd);
    say("  blocking again, answered", atomic_load(&answered));
    close(wr);
    say("  read", (long)join(t));
    close(rd);
}

static void meanwhile(void)
{
    int p[2];
    puts("O_NONBLOCK while a thread reads");
    CHECK(pipe(p) == 0);
    nonblocking_meanwhile(p[0], p[1]);
    tcp_pair(p);
    nonblocking_meanwhile(p[0], p[1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    nonblocking_meanwhile(p[0], p[1]);

    tcp_pair(p);
    pthread_t t = start_reader(p[0]);
    CHECK(shutdown(p[0], SHUT_RD) == 0);
    say("shut down meanwhile", (long)join(t));
    close(p[0]), close(p[1]);

    int q[2];
    CHECK(pipe(p) == 0 && pipe(q) == 0);
    t = start_reader(p[0]);
    CHECK(dup2(q[0], p[0]) == p[0]);
    CHECK(write(p[1], "abc", 3) == 3);
    say("another file under the number meanwhile", (long)join(t));
    CHECK(write(q[1], "x", 1) == 1);
    say("  the other one", read(p[0], good, 4));
    close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

int main(void)
{
    struct rlimit rl;
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max >= BIG) {
        int p[2];
        rl.rlim_cur = rl.rlim_cur < BIG ? BIG : rl.rlim_cur;
        CHECK(setrlimit(RLIMIT_NOFILE, &rl) == 0 && pipe(p) == 0);
        beyond[0] = fcntl(p[0], F_DUPFD, 2000);
        beyond[1] = fcntl(p[1], F_DUPFD, 2100);
        CHECK(beyond[0] == 2000 && beyond[1] == 2100);
        close(p[0]), close(p[1]);
    }
    good = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(good != MAP_FAILED);
    bad = good + 2 * 4096;
    CHECK(mprotect(bad, 4096, PROT_NONE) == 0);
    join(start(nothing, NULL));
    zeros();
    parts();
    refused();
    polls();
    selects();
    flags();
    meanwhile();
    return 0;
}
