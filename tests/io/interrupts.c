/* interrupts.c: signals and blocking I/O: EINTR without SA_RESTART, a restart with it, always EINTR where signal(7) says. */
#include "iotest.h"
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

static int p[2], s[2];
static atomic_int handled;
static pthread_t target;

static void on_signal(int sig)
{
    (void)sig;
    atomic_fetch_add(&handled, 1);
}

static void handle(int flags)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };
    sigaction(SIGUSR1, &sa, NULL);
    handled = 0;
}

static void *kills(void *arg)
{
    all_settle();
    CHECK0(pthread_kill(target, SIGUSR1));
    settle();
    if (arg)
        CHECK(write((int)(intptr_t)arg, "x", 1) == 1);
    return NULL;
}

#define WITH(fd, call)                                       \
    do {                                                     \
        pthread_t t_ = start(kills, (void *)(intptr_t)(fd)); \
        CHECK(call);                                         \
        join(t_);                                            \
        CHECK(handled == 1);                                 \
        handled = 0;                                         \
    } while (0)
#define EINTR_OF(call) ((call) == -1 && errno == EINTR)

int main(void)
{
    char c;
    struct timeval tv = { 30, 0 };
    target = pthread_self();
    CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    int e = epoll_create1(0);
    struct epoll_event ev = { EPOLLIN, { .fd = p[0] } };
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) == 0);
    struct pollfd f = { p[0], POLLIN, 0 };
    struct sockaddr_in a;
    int l = listen_tcp(&a, 5);

    handle(0);
    WITH(0, EINTR_OF(read(p[0], &c, 1)));
    WITH(0, EINTR_OF(recv(s[0], &c, 1, 0)));
    WITH(0, EINTR_OF(accept(l, NULL, NULL)));
    WITH(0, EINTR_OF(poll(&f, 1, -1)));
    WITH(0, EINTR_OF(epoll_wait(e, &ev, 1, 30000)));
    handle(SA_RESTART);
    WITH(p[1], read(p[0], &c, 1) == 1);
    WITH(s[1], recv(s[0], &c, 1, 0) == 1);
    WITH(s[1], read(s[0], &c, 1) == 1);
    WITH(0, EINTR_OF(poll(&f, 1, -1)));
    WITH(0, EINTR_OF(epoll_wait(e, &ev, 1, -1)));
    fd_set in;
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    int64_t t0 = now_ms();
    WITH(0, EINTR_OF(select(p[0] + 1, &in, NULL, NULL, &tv)));
    int64_t left = tv.tv_sec * 1000 + tv.tv_usec / 1000;
    CHECK(left >= 30000 - 1 - (now_ms() - t0) && left <= 30000 - 28); /* it was told when it was woken */
    tv = (struct timeval){ 30, 0 };
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    WITH(0, EINTR_OF(recv(s[0], &c, 1, 0)));

    /* ppoll lets the signal through that is blocked otherwise. */
    sigset_t set, none;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    CHECK(raise(SIGUSR1) == 0 && handled == 0);
    CHECK(EINTR_OF(ppoll(&f, 1, NULL, &none)) && handled == 1);
    handled = 0;
    WITH(0, EINTR_OF(ppoll(&f, 1, NULL, &none)));
    WITH(0, EINTR_OF(pselect(p[0] + 1, &in, NULL, NULL, NULL, &none)));
    WITH(0, EINTR_OF(epoll_pwait(e, &ev, 1, -1, &none)));
    sigset_t now;
    CHECK0(pthread_sigmask(SIG_BLOCK, NULL, &now));
    CHECK(sigismember(&now, SIGUSR1));
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &set, NULL));

    /* A part was sent when the signal comes: its length is the result. */
    char *big = calloc(1, 4 << 20);
    ssize_t n;
    handle(0);
    WITH(0, (n = write(s[1], big, 4 << 20)) > 0 && n < 4 << 20);
    CHECK(fcntl(p[1], F_SETPIPE_SZ, 65536) > 0);
    WITH(0, (n = write(p[1], big, 4 << 20)) > 0 && n < 4 << 20);
    puts("interrupts ok");
    return 0;
}
