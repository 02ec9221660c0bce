/* owner.c: a descriptor's signals for one thread (F_SETOWN_EX with F_OWNER_TID), as readiness signals and numbered ones, and what
 * the owner is said to be. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static int pair[2];
static atomic_int hits, where, last_fd, ready, done;

static pid_t tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void handler(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    where = tid();
    last_fd = info->si_fd;
    hits++;
}

/* Anywhere, if wanted is 0. */
static void arrives(const char *what, pid_t wanted)
{
    for (int i = 0; i < 10000 && !hits; i++)
        usleep(1000);
    printf("%s: %s thread\n", what, !hits ? "no" : !wanted ? "some" : where == wanted ? "this" : "another");
}

static void *owner(void *arg)
{
    struct f_owner_ex o = {F_OWNER_TID, tid()}, is = {9, 9};
    (void)arg;
    CHECK(fcntl(pair[0], F_SETOWN_EX, &o) == 0);
    CHECK(fcntl(pair[0], F_GETOWN_EX, &is) == 0);
    printf("owner: type %d, %s\n", is.type, is.pid == tid() ? "this thread" : "another");
    printf("F_GETOWN: %s\n", fcntl(pair[0], F_GETOWN) == tid() ? "this thread" : "another");
    hits = 0;
    ready = 1;
    arrives("SIGIO", tid());
    CHECK(fcntl(pair[0], F_SETSIG, SIGRTMIN + 3) == 0);
    hits = 0;
    ready = 2;
    arrives("F_SETSIG", tid());
    printf("its descriptor: %d\n", last_fd == pair[0]);
    CHECK(fcntl(pair[0], F_SETSIG, 0) == 0);
    return NULL;
}

static void *writer(void *arg)
{
    for (int i = 1; i <= 2; i++) {
        while (ready != i)
            usleep(200);
        CHECK(write(pair[1], "x", 1) == 1);
    }
    return arg;
}

static void *idle(void *arg)
{
    ready = tid();
    while (!done)
        usleep(1000);
    return arg;
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct f_owner_ex is;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(sigaction(SIGIO, &sa, NULL) == 0 && sigaction(SIGRTMIN + 3, &sa, NULL) == 0);
    CHECK(fcntl(pair[0], F_SETFL, O_ASYNC) == 0);
    pthread_t w = start(writer, NULL), o = start(owner, NULL);
    join(o);
    join(w);

    is = (struct f_owner_ex){F_OWNER_TID, getpid()};
    CHECK(fcntl(pair[0], F_SETOWN_EX, &is) == 0 && fcntl(pair[0], F_GETOWN_EX, &is) == 0);
    printf("main: type %d, %d\n", is.type, is.pid == getpid());
    hits = 0;
    CHECK(write(pair[1], "x", 1) == 1);
    arrives("main", getpid());

    ready = 0;
    o = start(idle, NULL);
    while (!ready)
        usleep(200);
    is = (struct f_owner_ex){F_OWNER_TID, ready};
    printf("another thread: %d\n", fcntl(pair[0], F_SETOWN_EX, &is));
    printf("F_SETOWN: %d\n", fcntl(pair[0], F_SETOWN, (int)ready));
    where = hits = 0;
    CHECK(write(pair[1], "x", 1) == 1);
    arrives("F_SETOWN", 0);
    done = 1;
    join(o);
    is = (struct f_owner_ex){F_OWNER_TID, 1 << 29};
    CHECK_ERRNO(fcntl(pair[0], F_SETOWN_EX, &is), ESRCH);
    is = (struct f_owner_ex){17, getpid()};
    CHECK_ERRNO(fcntl(pair[0], F_SETOWN_EX, &is), EINVAL);
    CHECK_ERRNO(fcntl(pair[0], F_SETOWN_EX, (struct f_owner_ex *)8), EFAULT);
    printf("done\n");
    return 0;
}
