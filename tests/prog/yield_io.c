/* yield_io.c: a thread that spins with sched_yield, as long as another one has not read what it wrote to a pipe or socket,
 * and nobody else runs: the reader hears of it soon, not when somebody comes to look after 10 ms. It counts yields, not time,
 * of which a busy machine takes any amount. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { ROUNDS = 60, SOON = 10000, NEEDED = 10 };

static int ends[2];
static atomic_int taken;
static bool by_epoll;

static void *reads(void *arg)
{
    struct epoll_event ev = { .events = EPOLLIN };
    int ep = epoll_create1(0);
    char c;
    CHECK(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &ev) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(!by_epoll || epoll_wait(ep, &ev, 1, -1) == 1);
        CHECK(read(ends[0], &c, 1) == 1);
        atomic_store(&taken, i + 1);
    }
    close(ep);
    return arg;
}

static void rounds(const char *what)
{
    int soon = 0;
    atomic_store(&taken, 0);
    pthread_t t = start(reads, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        int yields = 0;
        CHECK(write(ends[1], "x", 1) == 1);
        while (atomic_load(&taken) == i)
            sched_yield(), yields++; /* some 100; they were 640,000 */
        soon += yields < SOON;
    }
    join(t);
    close(ends[0]), close(ends[1]);
    printf("%s: %s\n", what, soon >= NEEDED ? "soon" : "late");
}

int main(void)
{
    CHECK(pipe(ends) == 0);
    rounds("pipe");
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    rounds("socket");
    by_epoll = true;
    CHECK(pipe(ends) == 0);
    rounds("epoll");
    return 0;
}
