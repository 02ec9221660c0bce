/* sigpipe.c: SIGPIPE goes to the thread that writes, also from inside a call that waits. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>

static _Thread_local int mine;
static atomic_int others;

static void handler(int sig)
{
    (void)sig;
    if (mine)
        mine++;
    else
        others++;
}

static void *idle(void *arg)
{
    (void)arg;
    usleep(300000);
    return NULL;
}

static void *writer(void *arg)
{
    int fds[2];
    (void)arg;
    mine = 1;
    for (int i = 0; i < 50; i++) {
        CHECK(pipe(fds) == 0);
        close(fds[0]);
        CHECK_ERRNO((int)write(fds[1], "x", 1), EPIPE);
        close(fds[1]);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        close(fds[0]);
        CHECK_ERRNO((int)send(fds[1], "x", 1, 0), EPIPE);
        CHECK_ERRNO((int)send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE);
        close(fds[1]);
    }
    printf("handled %d here\n", mine - 1);
    return NULL;
}

static int fds[2];

static void *reader(void *arg)
{
    char buf[100];
    (void)arg;
    CHECK(read(fds[0], buf, sizeof buf) > 0);
    usleep(20000);
    close(fds[0]);
    return NULL;
}

static void *blocked(void *arg)
{
    static char big[1 << 20];
    (void)arg;
    mine = 1;
    CHECK(write(fds[1], big, sizeof big) < (ssize_t)sizeof big);
    if (mine == 1)
        CHECK_ERRNO((int)write(fds[1], big, 1), EPIPE);
    printf("while it waits: %d\n", mine > 1);
    return NULL;
}

int main(void)
{
    pthread_t t[4];
    signal(SIGPIPE, handler);
    for (int i = 0; i < 2; i++)
        t[i] = start(idle, NULL);
    join(start(writer, NULL));
    CHECK(pipe(fds) == 0);
    t[2] = start(blocked, NULL);
    t[3] = start(reader, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
    printf("elsewhere %d\n", others);
    return 0;
}
