/* held.c: calls that hold a kernel thread as long as they block. Many at once hang nothing, others go on meanwhile, and a
 * signal or a cancellation ends them: open of a FIFO, sendmmsg on a stream, a read with SO_RCVLOWAT, one of an error queue
 * that is none, a connect by a socket that another process has too. */
#include "iotest.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOPEN 100

static char dir[] = "/tmp/preloom-io-XXXXXX";
static atomic_int opened, handled, turns, stop;

static void fifo_path(char path[64], int i)
{
    snprintf(path, 64, "%s/fifo%d", dir, i);
}

static void *opens(void *arg)
{
    char path[64], c;
    fifo_path(path, (int)(intptr_t)arg);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    atomic_fetch_add(&opened, 1);
    CHECK(read(fd, &c, 1) == 1 && c == (char)(intptr_t)arg);
    CHECK(read(fd, &c, 1) == 0);
    close(fd);
    return NULL;
}

static void *goes_on(void *arg)
{
    while (!atomic_load(&stop)) {
        msleep(1);
        atomic_fetch_add(&turns, 1);
    }
    return arg;
}

/* Other threads go on: 20 turns of a millisecond's sleep, however long they take on a busy machine. */
static void others_go_on(void)
{
    int from = atomic_load(&turns);
    while (atomic_load(&turns) < from + 20)
        msleep(1);
}

static void many_opens(void)
{
    char path[64];
    pthread_t t[NOPEN];
    for (int i = 0; i < NOPEN; i++) {
        fifo_path(path, i);
        CHECK(mkfifo(path, 0600) == 0);
        t[i] = start(opens, (void *)(intptr_t)i);
    }
    others_go_on();
    CHECK(atomic_load(&opened) == 0);
    for (int i = NOPEN - 1; i >= 0; i--) {
        char c = (char)i;
        fifo_path(path, i);
        int fd = open(path, O_WRONLY);
        CHECK(fd >= 0 && write(fd, &c, 1) == 1);
        close(fd);
    }
    for (int i = 0; i < NOPEN; i++)
        join(t[i]);
    CHECK(atomic_load(&opened) == NOPEN);
}

static void on_usr1(int sig)
{
    (void)sig;
    atomic_fetch_add(&handled, 1);
}

/* Signals until the thread says that it is done: the first may come before the call blocks. */
static void kick(pthread_t t, atomic_int *done)
{
    while (!atomic_load(done)) {
        pthread_kill(t, SIGUSR1);
        msleep(2);
    }
}

static atomic_int interrupted;

static void *open_fails(void *arg)
{
    char path[64];
    fifo_path(path, 0);
    CHECK_ERRNO(open(path, (int)(intptr_t)arg), EINTR);
    atomic_store(&interrupted, 1);
    return NULL;
}

static void *open_is_cancelled(void *arg)
{
    char path[64];
    fifo_path(path, 0);
    open(path, O_RDONLY);
    CHECK(!"open returned");
    return arg;
}

static atomic_int restarted;

static void *open_restarts(void *arg)
{
    char path[64];
    fifo_path(path, 1);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    atomic_store(&restarted, 1);
    close(fd);
    return arg;
}

static void open_interrupted(void)
{
    char path[64];
    struct sigaction sa = { .sa_handler = on_usr1 };
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        atomic_store(&interrupted, 0);
        pthread_t t = start(open_fails, (void *)(intptr_t)(i ? O_WRONLY : O_RDONLY));
        kick(t, &interrupted);
        join(t);
    }
    void *how;
    pthread_t t = start(open_is_cancelled, NULL);
    settle();
    CHECK(pthread_cancel(t) == 0 && pthread_join(t, &how) == 0 && how == PTHREAD_CANCELED);

    sa.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    atomic_store(&handled, 0);
    t = start(open_restarts, NULL);
    while (atomic_load(&handled) < 10) {
        pthread_kill(t, SIGUSR1);
        msleep(2);
    }
    CHECK(!atomic_load(&restarted));
    fifo_path(path, 1);
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0);
    join(t);
    close(fd);
}

/* --- sendmmsg on a stream: more than its buffers take --- */

#define NMSG 16
#define MSGLEN 100000

static unsigned char out[NMSG][MSGLEN];

static void *sends_many(void *arg)
{
    struct mmsghdr m[NMSG] = { 0 };
    struct iovec v[NMSG];
    for (int i = 0; i < NMSG; i++) {
        v[i] = (struct iovec){ out[i], MSGLEN };
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK(sendmmsg((int)(intptr_t)arg, m, NMSG, 0) == NMSG);
    for (int i = 0; i < NMSG; i++)
        CHECK(m[i].msg_len == MSGLEN);
    return NULL;
}

static void stream_sendmmsg(void)
{
    static unsigned char in[NMSG][MSGLEN];
    int s[2];
    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            tcp_pair(s);
        else
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        for (int i = 0; i < NMSG; i++)
            fill(out[i], MSGLEN, (unsigned)(i + kind));
        pthread_t t = start(sends_many, (void *)(intptr_t)s[0]);
        others_go_on();
        read_exact(s[1], in, sizeof in);
        join(t);
        CHECK(memcmp(in, out, sizeof in) == 0);
        close(s[0]);
        close(s[1]);
    }
}

/* --- MSG_ERRQUEUE, which means nothing on AF_UNIX and does not keep a call from waiting there --- */

static void *reads_errors(void *arg)
{
    char buf[4];
    CHECK(recv((int)(intptr_t)arg, buf, sizeof buf, MSG_ERRQUEUE) == 2);
    return NULL;
}

static void no_error_queue(void)
{
    int s[4][2], types[2] = { SOCK_STREAM, SOCK_DGRAM };
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        CHECK(socketpair(AF_UNIX, types[i % 2], 0, s[i]) == 0);
        t[i] = start(reads_errors, (void *)(intptr_t)s[i][0]);
    }
    others_go_on();
    for (int i = 0; i < 4; i++) {
        CHECK(write(s[i][1], "ab", 2) == 2);
        join(t[i]);
        close(s[i][0]);
        close(s[i][1]);
    }
}

/* --- SO_RCVLOWAT --- */

static void *reads_low(void *arg)
{
    char buf[64];
    CHECK(read((int)(intptr_t)arg, buf, sizeof buf) == 20);
    return NULL;
}

static void lowat(void)
{
    int s[8][2], low = 20;
    pthread_t t[8];
    for (int i = 0; i < 8; i++) {
        tcp_pair(s[i]);
        CHECK(setsockopt(s[i][0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low) == 0);
        t[i] = start(reads_low, (void *)(intptr_t)s[i][0]);
    }
    others_go_on();
    for (int i = 0; i < 8; i++)
        CHECK(write(s[i][1], "0123456789abcdefghij", 20) == 20);
    for (int i = 0; i < 8; i++) {
        join(t[i]);
        close(s[i][0]);
        close(s[i][1]);
    }
}

/* --- connect by a socket that a child has too: a Unix listener whose backlog is full --- */

struct connecting {
    int fd;
    struct sockaddr_un addr;
};

static void *connects(void *arg)
{
    struct connecting *c = arg;
    CHECK(connect(c->fd, (struct sockaddr *)&c->addr, sizeof c->addr) == 0);
    return NULL;
}

static void shared_connect(void)
{
    struct connecting c[6];
    pthread_t t[6];
    int l = socket(AF_UNIX, SOCK_STREAM, 0), hold[2];
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf(a.sun_path, sizeof a.sun_path, "%s/sock", dir);
    CHECK(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 0) == 0 && pipe(hold) == 0);
    for (int i = 0; i < 6; i++)
        c[i] = (struct connecting){ socket(AF_UNIX, SOCK_STREAM, 0), a };
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        char b;
        close(hold[1]);
        _exit(read(hold[0], &b, 1) != 0);
    }
    for (int i = 0; i < 6; i++)
        t[i] = start(connects, &c[i]);
    others_go_on();
    for (int i = 0; i < 6; i++) {
        int fd = accept(l, NULL, NULL);
        CHECK(fd >= 0);
        close(fd);
    }
    for (int i = 0; i < 6; i++) {
        CHECK((fcntl(c[i].fd, F_GETFL) & O_NONBLOCK) == 0);
        join(t[i]);
        close(c[i].fd);
    }
    close(hold[1]);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(hold[0]);
    close(l);
    CHECK(unlink(a.sun_path) == 0);
}

int main(void)
{
    char path[64];
    CHECK(mkdtemp(dir));
    pthread_t t = start(goes_on, NULL);
    many_opens();
    open_interrupted();
    stream_sendmmsg();
    no_error_queue();
    lowat();
    shared_connect();
    atomic_store(&stop, 1);
    join(t);
    for (int i = 0; i < NOPEN; i++) {
        fifo_path(path, i);
        unlink(path);
    }
    CHECK(rmdir(dir) == 0);
    puts("ok");
    return 0;
}
