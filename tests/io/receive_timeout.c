/* receive_timeout.c: a signal with SA_RESTART ends a call that waits for so much on a socket with a timeout, or accepts there, in spite
 * of that flag, and one for another thread neither ends nor prolongs it. */
#include "iotest.h"
#include <sys/wait.h>

#define LOW 1000
#define ROOM 2000
#define PART 300
#define TIMEOUT_MS 2000
#define EVERY_US 1700000 /* all of the timeout anew would end after 3700 */
#define TOO_LONG_MS 3400
#define TIMES 5 /* a wait is too long each time, not only when the machine stood still */

static int fds[2];

static void handler(int sig)
{
    (void)sig;
}

enum call { Read, Readv, Recvmsg, Recvmsg_all, Peek_all, Recv_all, Recvmmsg_all };
static const char *const names[] = {"read", "readv", "recvmsg", "recvmsg to the end", "look", "recv to the end", "recvmmsg to the end"};

static ssize_t receive(enum call call)
{
    static __thread char buf[ROOM];
    struct iovec v[] = {{buf, 10}, {buf + 10, ROOM - 10}};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = v, .msg_iovlen = 2}};
    switch (call) {
    case Read:
        return read(fds[0], buf, ROOM);
    case Readv:
        return readv(fds[0], v, 2);
    case Recvmsg:
        return recvmsg(fds[0], &m.msg_hdr, 0);
    case Recvmsg_all:
        return recvmsg(fds[0], &m.msg_hdr, MSG_WAITALL);
    case Peek_all:
        return recv(fds[0], buf, ROOM, MSG_PEEK | MSG_WAITALL);
    case Recv_all:
        return recv(fds[0], buf, ROOM, MSG_WAITALL);
    default:
        return recvmmsg(fds[0], &m, 1, MSG_WAITALL, NULL) == 1 ? (ssize_t)m.msg_len : -1;
    }
}

static void make(int tcp, int ms)
{
    int low = LOW;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    if (tcp)
        tcp_pair(fds);
    else
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) == 0);
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
}

static void *receives(void *arg)
{
    ssize_t n = receive((enum call)(intptr_t)arg);
    return n < 0 ? strerror(errno) : n == PART ? "part" : "?";
}

static void own_signal(int tcp, enum call call, size_t part)
{
    static char some[PART];
    make(tcp, 60000);
    pthread_t t = start(receives, (void *)call);
    all_settle();
    CHECK(!part || send(fds[1], some, part, 0) == (ssize_t)part);
    all_settle();
    CHECK(pthread_kill(t, SIGUSR1) == 0);
    printf("%s, %s, %zu there: %s\n", tcp ? "TCP" : "Unix", names[call], part, (char *)join(t));
    close(fds[0]), close(fds[1]);
}

static void *accepts(void *arg)
{
    int conn = accept(*(int *)arg, NULL, NULL);
    return conn < 0 ? strerror(errno) : "?";
}

/* It was non-blocking until another process changed that. */
static void accept_ended(void)
{
    struct sockaddr_in a;
    struct timeval tv = {5, 0};
    int l = listen_tcp(&a, 8), status;
    CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
    CHECK(fcntl(l, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    printf("accept: %s, ", (char *)join(start(accepts, &l)));
    pid_t pid = fork();
    if (pid == 0)
        _exit(fcntl(l, F_SETFL, O_RDWR));
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    pthread_t t = start(accepts, &l);
    all_settle();
    CHECK(pthread_kill(t, SIGUSR1) == 0);
    printf("%s\n", (char *)join(t));
    close(l);
}

static void *takes_signals(void *arg)
{
    CHECK(pthread_sigmask(SIG_UNBLOCK, arg, NULL) == 0);
    pause();
    return NULL;
}

/* How long it waited. */
static int64_t wait_beside_signals(int tcp, enum call call, size_t part)
{
    static char some[PART];
    int status;
    pid_t self = getpid();
    make(tcp, TIMEOUT_MS);
    msleep(1);
    pid_t sender = fork();
    if (sender == 0) {
        usleep(EVERY_US);
        for (int i = 0; i < 3 && kill(self, SIGUSR1) == 0; i++)
            usleep(EVERY_US);
        _exit(0);
    }
    CHECK(!part || send(fds[1], some, part, 0) == (ssize_t)part);
    int64_t begin = now_ms();
    ssize_t n = receive(call);
    CHECK(part ? n == (ssize_t)part : n < 0 && errno == EAGAIN);
    int64_t ms = now_ms() - begin;
    CHECK(kill(sender, SIGKILL) == 0 && waitpid(sender, &status, 0) == sender);
    close(fds[0]), close(fds[1]);
    return ms;
}

/* In a process of its own, whose first thread it is. */
static pid_t signal_for_another(int tcp, enum call call, size_t part)
{
    sigset_t usr;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child)
        return child;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &usr, NULL) == 0);
    start(takes_signals, &usr);
    int64_t ms = TOO_LONG_MS + 1;
    for (int i = 0; i < TIMES && ms > TOO_LONG_MS; i++)
        ms = wait_beside_signals(tcp, call, part);
    if (ms < TIMEOUT_MS - 10 || ms > TOO_LONG_MS)
        printf("%s, %s, %zu there: waited %d ms\n", tcp ? "TCP" : "Unix", names[call], part, (int)ms);
    exit(0);
}

int main(void)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    pid_t pid[16];
    int n = 0, status;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int tcp = 0; tcp < 2; tcp++)
        for (enum call call = Read; call <= Recvmmsg_all; call++)
            for (size_t part = 0; part <= PART; part += PART)
                if (call != Peek_all || tcp)
                    own_signal(tcp, call, part);
    accept_ended();
    for (size_t part = 0; part <= PART; part += PART) {
        pid[n++] = signal_for_another(0, Read, part);
        pid[n++] = signal_for_another(0, Readv, part);
        pid[n++] = signal_for_another(0, Recvmsg_all, part);
        pid[n++] = signal_for_another(0, Recvmmsg_all, part);
        pid[n++] = signal_for_another(1, Recvmsg_all, part);
        pid[n++] = signal_for_another(1, Peek_all, part);
    }
    for (int i = 0; i < n; i++)
        CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
    return 0;
}
