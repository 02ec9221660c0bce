/* signalfd.c: signalfd made before and after the first thread, read, polled and in epoll; signals from inside and outside;
 * a signal that somebody unblocks or awaits after all. */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static sigset_t set;
static int fd;
static volatile int handled, taken;

static void handler(int sig)
{
    handled = sig;
}

static void take(const char *how)
{
    struct signalfd_siginfo s;
    CHECK(read(fd, &s, sizeof s) == sizeof s);
    printf("%s: %u code %d from %s\n", how, s.ssi_signo, s.ssi_code,
           (pid_t)s.ssi_pid == getpid() ? "self" : s.ssi_pid ? "other" : "nobody");
    taken++;
}

/* Two that were sent while nobody took the first would be one. */
static void wait_taken(int n)
{
    while (taken < n)
        usleep(1000);
    usleep(50000); /* the next one comes while somebody waits, most likely */
}

static void send_from_child(int sig)
{
    pid_t parent = getpid(), pid;
    if ((pid = fork()) == 0) {
        usleep(30000);
        kill(parent, sig);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
}

static void *reader(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        take("read in a thread");
    return NULL;
}

static void *poller(void *arg)
{
    int ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)arg;
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0);
    CHECK(poll(&p, 1, 10000) == 1);
    take("poll");
    CHECK(epoll_wait(ep, &ev, 1, 10000) == 1);
    take("epoll");
    close(ep);
    return NULL;
}

static void *idle(void *arg)
{
    (void)arg;
    usleep(1500000);
    return NULL;
}

static void *unblocks(void *arg)
{
    (void)arg;
    CHECK0(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    printf("unblocked: handled %d\n", handled);
    return NULL;
}

static void round_of_tests(void)
{
    taken = 0;
    pthread_t t = start(reader, NULL);
    usleep(100000);
    send_from_child(SIGUSR1);
    wait_taken(1);
    kill(getpid(), SIGUSR1);
    wait_taken(2);
    kill(getpid(), SIGUSR2);
    join(t);
    t = start(poller, NULL);
    usleep(100000);
    send_from_child(SIGUSR2);
    wait_taken(4);
    kill(getpid(), SIGUSR2);
    join(t);
    kill(getpid(), SIGUSR1);
    take("already pending");
}

int main(void)
{
    siginfo_t info;
    sigset_t p;
    signal(SIGUSR1, handler);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, NULL));
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    CHECK(fd >= 0);
    pthread_t t = start(idle, NULL);
    round_of_tests();
    close(fd);
    fd = signalfd(-1, &set, 0);
    round_of_tests();
    kill(getpid(), SIGUSR2);
    sigpending(&p);
    printf("pending %d %d\n", sigismember(&p, SIGUSR1), sigismember(&p, SIGUSR2));
    CHECK(sigwaitinfo(&set, &info) == SIGUSR2);
    kill(getpid(), SIGUSR1);
    join(start(unblocks, NULL));
    kill(getpid(), SIGUSR1);
    take("blocked by all again");
    join(t);
    return 0;
}
