/* close_wait.c: close of a descriptor that another thread waits on. As on Linux, the wait goes on, on the open file; the
 * number may be somebody else's by then. */
#include "iotest.h"

enum { ROUNDS = 200 };

static int fds[2], number;

static void *reads(void *arg)
{
    char c = 0;
    CHECK(read(number, &c, 1) == 1 && c == 'a');
    return arg;
}

static void round_of(int kind)
{
    int other[2];
    if (kind == 0)
        CHECK(pipe(fds) == 0);
    else if (kind == 1)
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    else
        tcp_pair(fds);
    number = fds[0];
    pthread_t t = start(reads, NULL), u = start(reads, NULL);
    msleep(100);
    all_settle();
    if (kind == 0)
        CHECK(close(number) == 0);
    else
        CHECK(dup2(fds[1], number) == number);
    if (kind == 0)
        CHECK(pipe(other) == 0); /* takes the number */
    CHECK(kind || other[0] == number);
    if (kind == 0)
        CHECK(write(other[1], "b", 1) == 1);
    msleep(2);
    CHECK(write(fds[1], "aa", 2) == 2);
    join(t);
    join(u);
    close(fds[1]);
    if (kind == 0) {
        char c;
        CHECK(read(other[0], &c, 1) == 1 && c == 'b');
        close(other[0]);
        close(other[1]);
    } else {
        close(number);
    }
}

/* Numbers are used again and again by files of every kind. */
static void reuse(void)
{
    char c;
    for (int i = 0; i < ROUNDS; i++) {
        int p[2];
        if (i % 3 == 0)
            CHECK(pipe(p) == 0);
        else if (i % 3 == 1)
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
        else
            tcp_pair(p);
        number = p[0];
        pthread_t t = start(reads, NULL);
        if (i % 2)
            msleep(1);
        CHECK(write(p[1], "a", 1) == 1);
        join(t);
        if (i % 5 == 0)
            close(p[1]), CHECK(read(p[0], &c, 1) == 0);
        else
            close(p[1]);
        close(p[0]);
    }
}

int main(void)
{
    join(start(nothing, NULL));
    for (int kind = 0; kind < 3; kind++)
        round_of(kind);
    reuse();
    int before = dup(0);
    CHECK(before > 0 && before < 20); /* nothing leaked into the low numbers */
    puts("close_wait ok");
    return 0;
}
