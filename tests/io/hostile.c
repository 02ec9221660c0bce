/* hostile.c: what peers, other processes and other threads do to a descriptor while a thread waits for it. Each case prints
 * what the waiter saw; natively the same. */
#include "iotest.h"
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>

enum { MANY = 150, WIDE = 3000, SHARED = 40 };

static int fds[2], turns[2];
static atomic_int woken, done;

/* What a call gave, without the numbers that differ from run to run. */
static const char *outcome(ssize_t r)
{
    static _Thread_local char text[80];
    if (r >= 0)
        snprintf(text, sizeof text, "%zd", r);
    else
        snprintf(text, sizeof text, "%s", strerrorname_np(errno));
    return text;
}

static void *reads_one(void *arg)
{
    char c = 0;
    ssize_t r = read((int)(intptr_t)arg, &c, 1);
    const char *text = outcome(r);
    atomic_fetch_add(&woken, 1);
    return r == 1 ? (void *)(intptr_t)c : strdup(text);
}

/* --- numbers that change their meaning --- */

static void dup2_over_waiter(void)
{
    int other[2];
    CHECK(pipe(fds) == 0 && pipe(other) == 0);
    pthread_t t = start(reads_one, (void *)(intptr_t)fds[0]);
    all_settle();
    CHECK(dup2(other[0], fds[0]) == fds[0]);
    CHECK(write(other[1], "o", 1) == 1);
    all_settle();
    CHECK(write(fds[1], "f", 1) == 1);
    printf("dup2 over a waiter: it got %c", (int)(intptr_t)join(t));
    char c;
    CHECK(read(fds[0], &c, 1) == 1);
    printf(", the number reads %c\n", c);
    close(fds[0]), close(fds[1]), close(other[0]), close(other[1]);
}

/* A server that ends closes all its connections; their threads wait on, each on its own open file. */
static int close_some(int longer)
{
    static int in[MANY], out[MANY];
    static pthread_t t[MANY];
    int wrong = 0;
    for (int i = 0; i < MANY; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        in[i] = fds[0];
        out[i] = fds[1];
        t[i] = start(reads_one, (void *)(intptr_t)in[i]);
    }
    all_settle();
    msleep(longer);
    for (int i = 0; i < MANY; i++)
        close(in[i]);
    int reused[2];
    CHECK(pipe(reused) == 0 && write(reused[1], "wrong", 5) == 5);
    for (int i = 0; i < MANY; i++)
        if (send(out[i], i % 2 ? "b" : "a", 1, MSG_NOSIGNAL) != 1)
            CHECK(errno == EPIPE);
    close(reused[1]);
    for (int i = 0; i < MANY; i++) {
        wrong += (intptr_t)join(t[i]) != (i % 2 ? 'b' : 'a');
        close(out[i]);
    }
    close(reused[0]);
    return wrong;
}

/* Who had not got to waiting yet is wrong natively, too. */
static void close_many(void)
{
    int wrong = -1;
    for (int longer = 1; longer < 2000 && wrong; longer *= 4)
        wrong = close_some(longer);
    printf("close of %d waited-for descriptors: %d waiters wrong\n", MANY, wrong);
}

static void *polls_one(void *arg)
{
    struct pollfd p = { (int)(intptr_t)arg, POLLIN, 0 };
    int n = poll(&p, 1, 30000);
    atomic_fetch_add(&woken, 1);
    return (void *)(intptr_t)(n * 1000 + p.revents);
}

static void *selects_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    int n = select(fd + 1, &in, NULL, NULL, NULL);
    atomic_fetch_add(&woken, 1);
    return (void *)(intptr_t)(n * 1000 + (n > 0 && FD_ISSET(fd, &in)));
}

/* Closing wakes nobody; what the file does later makes poll look at the number, where nothing or another file is. */
static void close_under(const char *what, void *(*fn)(void *), int again)
{
    int other[2] = { -1, -1 };
    atomic_store(&woken, 0);
    CHECK(pipe(fds) == 0);
    pthread_t t = start(fn, (void *)(intptr_t)fds[0]);
    all_settle();
    int number = fds[0];
    close(fds[0]);
    if (again) {
        CHECK(pipe(other) == 0 && other[0] == number);
        CHECK(write(other[1], "x", 1) == 1);
    }
    all_settle();
    printf("close under %s: %s", what, atomic_load(&woken) ? "woken, " : "waits on, ");
    close(fds[1]);
    printf("then %d\n", (int)(intptr_t)join(t));
    close(other[0]), close(other[1]);
}

/* --- sets --- */

static void nested_epoll(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int inner = epoll_create1(0), middle = epoll_create1(0), outer = epoll_create1(0);
    CHECK(pipe(fds) == 0 && inner >= 0 && middle >= 0 && outer >= 0);
    CHECK(epoll_ctl(inner, EPOLL_CTL_ADD, fds[0], &ev) == 0);
    CHECK(epoll_ctl(middle, EPOLL_CTL_ADD, inner, &ev) == 0);
    CHECK(epoll_ctl(outer, EPOLL_CTL_ADD, middle, &ev) == 0);
    for (int round = 0; round < 3; round++) {
        atomic_store(&woken, 0);
        pthread_t t = start(polls_one, (void *)(intptr_t)middle);
        all_settle();
        CHECK(write(fds[1], "x", 1) == 1);
        int n = epoll_wait(outer, &ev, 1, 30000), m = epoll_wait(inner, &ev, 1, 30000);
        printf("nested epoll: outer %d, inner %d, poll %d", n, m, (int)(intptr_t)join(t));
        char c;
        CHECK(read(fds[0], &c, 1) == 1);
        printf(", emptied %d\n", epoll_wait(outer, &ev, 1, 20));
    }
    close(inner), close(middle), close(outer), close(fds[0]), close(fds[1]);
}

static struct pollfd *wide;
static int nwide;

static void *polls_wide(void *arg)
{
    struct pollfd *p = malloc((size_t)nwide * sizeof *p);
    memcpy(p, wide, (size_t)nwide * sizeof *p);
    int n = poll(p, (nfds_t)nwide, -1), mine = 0;
    for (int i = 0; i < nwide; i++)
        mine += p[i].revents == POLLIN;
    free(p);
    atomic_fetch_add(&woken, 1);
    (void)arg;
    return (void *)(intptr_t)(n == mine ? n : -1);
}

/* A set of thousands; the same file under all numbers, so that one byte wakes everybody everywhere. */
static void wide_poll(void)
{
    struct rlimit lim;
    pthread_t t[4];
    CHECK(getrlimit(RLIMIT_NOFILE, &lim) == 0);
    if (lim.rlim_cur < WIDE + 200) {
        lim.rlim_cur = lim.rlim_max < WIDE + 200 ? lim.rlim_max : WIDE + 200;
        CHECK(setrlimit(RLIMIT_NOFILE, &lim) == 0);
    }
    CHECK(pipe(fds) == 0);
    wide = malloc(WIDE * sizeof *wide);
    for (nwide = 0; nwide < WIDE; nwide++) {
        int fd = dup(fds[0]);
        CHECK(fd >= 0);
        wide[nwide] = (struct pollfd){ fd, POLLIN, 0 };
    }
    for (int i = 0; i < 4; i++)
        t[i] = start(polls_wide, NULL);
    all_settle();
    CHECK(write(fds[1], "x", 1) == 1);
    for (int i = 0; i < 4; i++)
        printf("poll of %d descriptors: %d ready\n", WIDE, (int)(intptr_t)join(t[i]));
    for (int i = 0; i < nwide; i++)
        close(wide[i].fd);
    close(fds[0]), close(fds[1]);
    free(wide);
}

/* More than there may be is refused at once, whatever the timeout. */
static void too_wide(void)
{
    struct rlimit old, low;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    low = old;
    low.rlim_cur = 1000;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    struct pollfd *p = malloc(70000 * sizeof *p);
    for (int i = 0; i < 70000; i++)
        p[i].fd = -1;
    printf("poll of 1001 at a limit of 1000: %s", outcome(poll(p, 1001, 30000)));
    printf(", of 70000: %s", outcome(poll(p, 70000, 30000)));
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    low.rlim_cur = low.rlim_max = 70000;
    if (old.rlim_max >= 70000 || setrlimit(RLIMIT_NOFILE, &low) == 0) {
        low.rlim_max = old.rlim_max > 70000 ? old.rlim_max : 70000;
        CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
        int64_t begin = now_ms();
        int n = poll(p, 70000, 100);
        printf(", at 70000: %d%s\n", n, now_ms() - begin < 90 ? ", at once" : "");
        old.rlim_max = low.rlim_max;
    } else {
        printf(", at 70000: 0\n");
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    free(p);
}

static void *reads_or_polls(void *arg)
{
    char c;
    struct pollfd p = { fds[0], POLLIN, 0 };
    long n = 0;
    for (;;) {
        if (arg && poll(&p, 1, -1) != 1)
            break;
        ssize_t r = recv(fds[0], &c, 1, arg ? MSG_DONTWAIT : 0);
        if (r == 0)
            break;
        n += r == 1;
        CHECK(r == 1 || (arg && errno == EAGAIN));
    }
    return (void *)n;
}

/* Many on one descriptor, some that read and some that poll; no byte lost, everybody sees the end. */
static void crowd(void)
{
    pthread_t t[SHARED];
    long sum = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    for (int i = 0; i < SHARED; i++)
        t[i] = start(reads_or_polls, (void *)(intptr_t)(i & 1));
    all_settle();
    for (int i = 0; i < 2000; i++)
        CHECK(send(fds[1], "0123456789", (size_t)(1 + i % 10), 0) == 1 + i % 10);
    shutdown(fds[1], SHUT_WR);
    for (int i = 0; i < SHARED; i++)
        sum += (long)join(t[i]);
    printf("%d threads on one socket: %ld of 11000 bytes\n", SHARED, sum);
    close(fds[0]), close(fds[1]);
}

/* --- other processes --- */

static void *reads_turns(void *arg)
{
    char c;
    const char **results = arg;
    for (int i = 0; i < 3; i++) {
        CHECK(read(turns[0], &c, 1) == 1);
        results[i] = strdup(outcome(read(fds[0], &c, 1)));
        atomic_fetch_add(&done, 1);
    }
    return NULL;
}

static void in_child(void (*what)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        what();
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void set_nonblock(void)
{
    CHECK(fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK) == 0);
}

static void clear_nonblock(void)
{
    CHECK(fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) & ~O_NONBLOCK) == 0);
}

/* O_NONBLOCK sits on the open file, and another process that has it changes it: between calls, and during one. */
static void others_flags(const char *what, bool late)
{
    const char *results[3];
    CHECK(pipe(turns) == 0);
    atomic_store(&done, 0);
    pthread_t t = start(reads_turns, results);
    CHECK(write(turns[1], "1", 1) == 1); /* a blocking one, so that this is known of the descriptor */
    all_settle();
    if (late)
        in_child(set_nonblock);
    CHECK(write(fds[1], "x", 1) == 1);
    while (atomic_load(&done) < 1)
        msleep(1);
    if (!late)
        in_child(set_nonblock);
    CHECK(write(turns[1], "2", 1) == 1);
    for (int i = 0; i < 500 && atomic_load(&done) < 2; i++)
        msleep(10);
    if (atomic_load(&done) < 2)
        CHECK(write(fds[1], "w", 1) == 1);
    while (atomic_load(&done) < 2)
        msleep(1);
    in_child(clear_nonblock);
    CHECK(write(turns[1], "3", 1) == 1);
    all_settle();
    printf("%s, flags changed by a child%s: %s, %s, waits %d", what, late ? " during a wait" : "", results[0], results[1],
           atomic_load(&done) == 2);
    CHECK(write(fds[1], "y", 1) == 1);
    join(t);
    printf(", %s\n", results[2]);
    close(fds[0]), close(fds[1]), close(turns[0]), close(turns[1]);
}

static void *reads_all(void *arg)
{
    char buf[8];
    long n = 0;
    while (recv(fds[0], buf, sizeof buf, 0) == sizeof buf)
        n++;
    (void)arg;
    return (void *)n;
}

/* Threads of both sides of a fork read from one socket. */
static void fork_among_readers(void)
{
    pthread_t t[4];
    long sum = 0, child = 0;
    int back[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0 && pipe(back) == 0);
    for (int i = 0; i < 4; i++)
        t[i] = start(reads_all, NULL);
    all_settle();
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[1]);
        for (int i = 0; i < 4; i++)
            t[i] = start(reads_all, NULL);
        for (int i = 0; i < 4; i++)
            child += (long)join(t[i]);
        CHECK(write(back[1], &child, sizeof child) == sizeof child);
        _exit(0);
    }
    for (int i = 0; i < 3000; i++)
        CHECK(send(fds[1], "message", 8, 0) == 8);
    shutdown(fds[1], SHUT_WR);
    for (int i = 0; i < 4; i++)
        sum += (long)join(t[i]);
    CHECK(read(back[0], &child, sizeof child) == sizeof child && waitpid(pid, NULL, 0) == pid);
    printf("readers on both sides of a fork: %ld of 3000\n", sum + child);
    close(fds[0]), close(fds[1]), close(back[0]), close(back[1]);
}

/* --- peers --- */

static void *accepts_one(void *arg)
{
    int fd = accept((int)(intptr_t)arg, NULL, NULL);
    const char *text = strdup(outcome(fd >= 0 ? 0 : -1));
    atomic_fetch_add(&done, 1);
    if (fd >= 0)
        close(fd);
    return (void *)text;
}

/* At the limit accept does not wait for a peer before it says so. */
static void accept_at_limit(void)
{
    struct rlimit old, low;
    struct sockaddr_in a;
    int l = listen_tcp(&a, 8), first = dup(0);
    close(first);
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    low = old;
    low.rlim_cur = (rlim_t)first;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    atomic_store(&done, 0);
    pthread_t t = start(accepts_one, (void *)(intptr_t)l);
    for (int i = 0; i < 100 && !atomic_load(&done); i++)
        msleep(10);
    int early = atomic_load(&done);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    if (!early)
        close(connect_tcp(&a));
    const char *text = join(t);
    printf("accept at the limit, nobody there: %s, %s\n", early ? "at once" : "waits", text);
    close(l);
}

static void *shutdown_reader(void *arg)
{
    char c;
    (void)arg;
    return strdup(outcome(recv(fds[0], &c, 1, 0)));
}

static void shutdowns(void)
{
    struct sockaddr_in a;
    int l = listen_tcp(&a, 8);
    pthread_t t = start(accepts_one, (void *)(intptr_t)l);
    all_settle();
    shutdown(l, SHUT_RDWR);
    printf("shutdown of a listener: %s\n", (char *)join(t));
    close(l);
    tcp_pair(fds);
    t = start(shutdown_reader, NULL);
    all_settle();
    shutdown(fds[0], SHUT_RD);
    printf("shutdown of the reading side: %s\n", (char *)join(t));
    close(fds[0]), close(fds[1]);
    tcp_pair(fds);
    t = start(shutdown_reader, NULL);
    all_settle();
    struct linger linger = { 1, 0 };
    setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fds[1]);
    printf("reset: %s", (char *)join(t));
    char c = 0;
    printf(", then %s\n", outcome(recv(fds[0], &c, 1, 0)));
    close(fds[0]);
}

/* Nobody listens there any more, and the answer to what was sent says so. */
static void refused_datagram(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int gone = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(gone, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(gone, (struct sockaddr *)&a, &len) == 0);
    fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(connect(fds[0], (struct sockaddr *)&a, sizeof a) == 0);
    pthread_t t = start(shutdown_reader, NULL);
    all_settle();
    close(gone);
    CHECK(send(fds[0], "x", 1, 0) == 1);
    printf("datagram to nobody: %s\n", (char *)join(t));
    close(fds[0]);
}

static void *reads_four(void *arg)
{
    char buf[100];
    (void)arg;
    ssize_t r = recv(fds[0], buf, sizeof buf, 0);
    atomic_fetch_add(&done, 1);
    return strdup(outcome(r));
}

/* A receiver that asked to be woken for so much and no less. */
static void low_water(const char *what)
{
    int low = 4;
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low) == 0);
    for (int waits = 0; waits < 2; waits++) {
        atomic_store(&done, 0);
        pthread_t t;
        if (waits)
            t = start(reads_four, NULL), all_settle();
        CHECK(send(fds[1], "ab", 2, 0) == 2);
        if (!waits)
            t = start(reads_four, NULL);
        all_settle();
        int early = atomic_load(&done);
        CHECK(send(fds[1], "cdef", 4, 0) == 4);
        printf("%s with SO_RCVLOWAT: %s", what, early ? "early, " : "");
        printf("%s\n", (char *)join(t));
        char c[8];
        while (recv(fds[0], c, sizeof c, MSG_DONTWAIT) > 0)
            ;
    }
    close(fds[0]), close(fds[1]);
}

static void *reads_text(void *arg)
{
    char c[8] = "";
    ssize_t n, sum = 0;
    (void)arg;
    while ((n = recv(fds[0], c, sizeof c, 0)) > 0)
        sum += n;
    return (void *)sum;
}

static void urgent(void)
{
    tcp_pair(fds);
    pthread_t t = start(reads_text, NULL);
    all_settle();
    for (int i = 0; i < 5; i++) {
        CHECK(send(fds[1], "ab", 2, 0) == 2);
        all_settle();
        CHECK(send(fds[1], "!", 1, MSG_OOB) == 1);
        all_settle();
    }
    shutdown(fds[1], SHUT_WR);
    printf("with urgent data in between: %zd bytes\n", (ssize_t)join(t));
    close(fds[0]), close(fds[1]);
}

/* --- deadlines --- */

enum { LATE_MS = 60 };

static int64_t deadline_ns;

static void *waits_briefly(void *arg)
{
    struct timeval tv = { 0, LATE_MS * 1000 };
    struct epoll_event ev = { .events = EPOLLIN };
    struct pollfd p = { fds[0], POLLIN, 0 };
    int how = (int)(intptr_t)arg, ep = epoll_create1(0);
    char c;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev) == 0);
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    deadline_ns = now_ns(CLOCK_MONOTONIC) + LATE_MS * NSEC_PER_MSEC;
    atomic_store(&woken, 1);
    ssize_t n = how == 0 ? poll(&p, 1, LATE_MS) : how == 1 ? epoll_wait(ep, &ev, 1, LATE_MS) : recv(fds[0], &c, 1, 0);
    close(ep);
    return (void *)(intptr_t)(n == 1);
}

/* What has come before the deadline is not overlooked, however late the waiter gets to run. */
static void in_time(void)
{
    int missed = 0;
    for (int round = 0; round < 15; round++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        atomic_store(&woken, 0);
        pthread_t t = start(waits_briefly, (void *)(intptr_t)(round % 3));
        while (!atomic_load(&woken))
            msleep(1);
        struct timespec at = { (deadline_ns - 2000000) / NSEC_PER_SEC, (deadline_ns - 2000000) % NSEC_PER_SEC };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        CHECK(write(fds[1], "x", 1) == 1);
        int64_t written = now_ns(CLOCK_MONOTONIC);
        while (now_ns(CLOCK_MONOTONIC) < written + 15000000)
            ;
        int got = (int)(intptr_t)join(t);
        missed += !got && written < deadline_ns;
        close(fds[0]), close(fds[1]);
    }
    printf("just before the deadline: %d missed\n", missed);
}

int main(void)
{
    join(start(nothing, NULL));
    dup2_over_waiter();
    close_many();
    for (int again = 0; again < 2; again++) {
        close_under("poll", polls_one, again);
        close_under("select", selects_one, again);
    }
    nested_epoll();
    wide_poll();
    too_wide();
    crowd();
    CHECK(pipe(fds) == 0);
    others_flags("pipe", false);
    CHECK(pipe(fds) == 0);
    others_flags("pipe", true);
    tcp_pair(fds);
    others_flags("TCP", false);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    others_flags("Unix", true);
    fork_among_readers();
    accept_at_limit();
    shutdowns();
    refused_datagram();
    tcp_pair(fds);
    low_water("TCP");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    low_water("Unix");
    urgent();
    in_time();
    return 0;
}
