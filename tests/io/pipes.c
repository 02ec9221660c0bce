/* pipes.c: pipes between threads: hand-off of bytes, writes larger than the pipe, several readers, end of file, EPIPE. */
#include "iotest.h"

enum { BIG = 3 << 20, READERS = 8, ITEMS = 4000 };

static int fd[2];
static unsigned char *big;

static void *write_big(void *arg)
{
    (void)arg;
    CHECK(write(fd[1], big, BIG) == BIG);
    return NULL;
}

static void *writev_big(void *arg)
{
    struct iovec v[7];
    (void)arg;
    for (int i = 0; i < 7; i++)
        v[i] = (struct iovec){ big + i * (BIG / 7), i < 6 ? BIG / 7 : BIG - 6 * (BIG / 7) };
    CHECK(writev(fd[1], v, 7) == BIG);
    return NULL;
}

static void large(void *(*writer)(void *))
{
    unsigned char *got = malloc(BIG);
    CHECK(pipe(fd) == 0);
    pthread_t t = start(writer, NULL);
    settle();
    read_exact(fd[0], got, BIG);
    join(t);
    CHECK(memcmp(got, big, BIG) == 0);
    close(fd[0]);
    close(fd[1]);
    free(got);
}

static atomic_int sum, ends;

static void *reader(void *arg)
{
    int item;
    ssize_t n;
    (void)arg;
    while ((n = read(fd[0], &item, sizeof item)) == sizeof item)
        atomic_fetch_add(&sum, item);
    CHECK(n == 0);
    atomic_fetch_add(&ends, 1);
    return NULL;
}

static void many_readers(void)
{
    pthread_t t[READERS];
    int want = 0;
    CHECK(pipe(fd) == 0);
    for (int i = 0; i < READERS; i++)
        t[i] = start(reader, NULL);
    settle();
    for (int i = 1; i <= ITEMS; i++) {
        CHECK(write(fd[1], &i, sizeof i) == sizeof i);
        want += i;
        if (i % 1000 == 0)
            settle();
    }
    close(fd[1]);
    for (int i = 0; i < READERS; i++)
        join(t[i]);
    CHECK(sum == want && ends == READERS);
    close(fd[0]);
}

static void *blocked_writer(void *arg)
{
    (void)arg;
    ssize_t n = write(fd[1], big, BIG);
    CHECK(n == -1 || n < BIG);
    if (n < 0)
        CHECK(errno == EPIPE);
    return NULL;
}

static void closed_reader(void)
{
    CHECK(pipe(fd) == 0);
    pthread_t t = start(blocked_writer, NULL);
    settle();
    close(fd[0]);
    join(t);
    CHECK_ERRNO(write(fd[1], "x", 1), EPIPE);
    close(fd[1]);
}

static void *pingpong(void *arg)
{
    int *p = arg;
    char c;
    while (read(p[0], &c, 1) == 1)
        CHECK(write(p[3], &c, 1) == 1);
    close(p[3]);
    return NULL;
}

static void hand_off(void)
{
    int p[4];
    char c = 'a';
    CHECK(pipe(p) == 0 && pipe(p + 2) == 0);
    pthread_t t = start(pingpong, p);
    for (int i = 0; i < 20000; i++) {
        CHECK(write(p[1], &c, 1) == 1);
        CHECK(read(p[2], &c, 1) == 1);
    }
    close(p[1]);
    CHECK(read(p[2], &c, 1) == 0);
    join(t);
    close(p[0]);
    close(p[2]);
}

static void *late_writer(void *arg)
{
    (void)arg;
    settle();
    CHECK(write(fd[1], "z", 1) == 1);
    return NULL;
}

/* What the program asked of the descriptor holds from the next call on. */
static void nonblocking(void)
{
    char c = 0;
    CHECK(pipe2(fd, O_NONBLOCK) == 0);
    CHECK_ERRNO(read(fd[0], &c, 1), EAGAIN);
    CHECK_ERRNO(read(fd[0], &c, 1), EAGAIN);
    CHECK(fcntl(fd[0], F_SETFL, 0) == 0);
    pthread_t t = start(late_writer, NULL);
    CHECK(read(fd[0], &c, 1) == 1 && c == 'z');
    join(t);
    CHECK(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(read(fd[0], &c, 1), EAGAIN);
    CHECK(fcntl(fd[1], F_GETFL) & O_NONBLOCK);
    ssize_t n, total = 0;
    while ((n = write(fd[1], big, 5000)) > 0)
        total += n;
    CHECK(errno == EAGAIN && total > 0);
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    big = malloc(BIG);
    fill(big, BIG, 3);
    join(start(nothing, NULL));
    large(write_big);
    large(writev_big);
    many_readers();
    closed_reader();
    hand_off();
    nonblocking();
    CHECK_ERRNO(read(-1, big, 1), EBADF);
    CHECK_ERRNO(read(999, big, 1), EBADF);
    puts("pipes ok");
    return 0;
}
