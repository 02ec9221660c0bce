/* whole.c: signals that only one thread takes do not cut short what another does: a long write to a FIFO by name and to a
 * terminal, and receiving that waits for so much (SO_RCVLOWAT, MSG_WAITALL). The other side is slow, and the signals come
 * from a timer of the process. */
#include "../prog/check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <termios.h>

#define LONG (1 << 19)

static atomic_int over, handled;
static char text[LONG];

static void count(int sig)
{
    (void)sig;
    handled++;
}

/* The only thread that does not block SIGALRM. */
static void *takes_signals(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    while (!over)
        pause();
    return arg;
}

static void *drains(void *arg)
{
    static char buf[1 << 14];
    while (read((int)(intptr_t)arg, buf, sizeof(buf)) > 0)
        usleep(500);
    return NULL;
}

static void write_long(const char *what, int to, int from)
{
    pthread_t t = start(drains, (void *)(intptr_t)from);
    ssize_t n = write(to, text, sizeof(text));
    if (n != sizeof(text))
        printf("%s: wrote %zd of %zu: %s\n", what, n, sizeof(text), n < 0 ? strerror(errno) : "cut short");
    close(to);
    join(t);
    close(from);
}

static void fifo(void)
{
    char path[] = "/tmp/whole.XXXXXX";
    CHECK(mkdtemp(path) && rmdir(path) == 0 && mkfifo(path, 0600) == 0);
    int from = open(path, O_RDONLY | O_NONBLOCK), to = open(path, O_WRONLY);
    CHECK(from >= 0 && to >= 0 && unlink(path) == 0 && fcntl(from, F_SETFL, 0) == 0);
    write_long("FIFO", to, from);
}

static void terminal(void)
{
    int from, to;
    struct termios t;
    CHECK(openpty(&from, &to, NULL, NULL, NULL) == 0 && tcgetattr(to, &t) == 0);
    cfmakeraw(&t);
    CHECK(tcsetattr(to, TCSANOW, &t) == 0);
    write_long("terminal", to, from);
}

/* --- receiving --- */

#define PIECE 100
#define WHOLE (10 * PIECE)
#define ROUNDS 10

static atomic_int enough, sent;

static void *sends_pieces(void *arg)
{
    char piece[PIECE] = "";
    while (!enough) {
        CHECK(send((int)(intptr_t)arg, piece, PIECE, 0) == PIECE);
        usleep(300);
    }
    sent = 1;
    return NULL;
}

/* The sender waits for room, perhaps, if this side stood still for long. */
static void take_the_rest(int fd)
{
    char buf[WHOLE];
    enough = 1;
    while (!sent) {
        while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
            ;
        usleep(300);
    }
    while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
        ;
}

static ssize_t by_read(int fd, char *buf, size_t n)
{
    return read(fd, buf, n);
}

static ssize_t by_readv(int fd, char *buf, size_t n)
{
    struct iovec v[] = {{buf, 150}, {buf + 150, 0}, {buf + 150, n - 150}};
    return readv(fd, v, 3);
}

static ssize_t by_recvmsg(int fd, char *buf, size_t n)
{
    struct iovec v[] = {{buf, 150}, {buf + 150, n - 150}};
    struct msghdr h = {.msg_iov = v, .msg_iovlen = 2};
    return recvmsg(fd, &h, 0);
}

static ssize_t all_by_recvmsg(int fd, char *buf, size_t n)
{
    struct iovec v[] = {{buf, 150}, {buf + 150, WHOLE - 150}};
    struct msghdr h = {.msg_iov = v, .msg_iovlen = 2};
    (void)n;
    return recvmsg(fd, &h, MSG_WAITALL);
}

static ssize_t all_by_peeking(int fd, char *buf, size_t n)
{
    (void)n;
    ssize_t ret = recv(fd, buf, WHOLE, MSG_PEEK | MSG_WAITALL);
    CHECK(recv(fd, buf, WHOLE, MSG_WAITALL) == WHOLE);
    return ret;
}

/* By a call that is to return no less than WHOLE. */
static void receive(const char *what, const int fd[2], int low, ssize_t (*by)(int, char *, size_t))
{
    char buf[4 * WHOLE];
    CHECK(setsockopt(fd[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) == 0);
    enough = sent = 0;
    pthread_t t = start(sends_pieces, (void *)(intptr_t)fd[1]);
    for (int i = 0; i < ROUNDS; i++) {
        ssize_t n = by(fd[0], buf, sizeof(buf));
        if (n < WHOLE)
            printf("%s: %zd of %d\n", what, n, WHOLE);
    }
    take_the_rest(fd[0]);
    join(t);
}

static void tcp_pair(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0 && getsockname(l, (struct sockaddr *)&a, &len) == 0);
    fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd[1], (struct sockaddr *)&a, sizeof(a)) == 0);
    fd[0] = accept(l, NULL, NULL);
    CHECK(fd[0] >= 0);
    close(l);
}

static void receive_all(const int fd[2], int peeks)
{
    receive("read with SO_RCVLOWAT", fd, WHOLE, by_read);
    receive("readv with SO_RCVLOWAT", fd, WHOLE, by_readv);
    receive("recvmsg with SO_RCVLOWAT", fd, WHOLE, by_recvmsg);
    receive("recvmsg with MSG_WAITALL", fd, 1, all_by_recvmsg);
    if (peeks) /* AF_UNIX does not wait then */
        receive("peeking with MSG_WAITALL", fd, 1, all_by_peeking);
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    struct sigaction sa = { .sa_handler = count, .sa_flags = SA_RESTART };
    struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
    pthread_t t = start(takes_signals, NULL);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        fifo();
        terminal();
    }
    int fd[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    receive_all(fd, 0);
    tcp_pair(fd);
    receive_all(fd, 1);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    over = 1;
    pthread_kill(t, SIGALRM);
    join(t);
    CHECK(handled > 100);
    puts("done");
    return 0;
}
