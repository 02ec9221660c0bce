/* fifo_nonblock.c: a FIFO opened with O_NONBLOCK. Its first read is at the end while nobody writes, also if it was made blocking, and
 * finds nothing yet when somebody may; with its first write it is full, or nobody reads. */
#include "iotest.h"
#include <sys/stat.h>

static char path[] = "/tmp/preloom-io-XXXXXX";

static long reads(int fd, int vector)
{
    char c[2];
    struct iovec v[2] = { { c, 1 }, { c + 1, 1 } };
    return vector ? readv(fd, v, 2) : read(fd, c, 2);
}

static void read_first(int vector)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    CHECK(fd >= 0);
    CHECK(reads(fd, vector) == 0 && reads(fd, vector) == 0);
    close(fd);

    fd = open(path, O_RDONLY | O_NONBLOCK);
    int w = open(path, O_WRONLY);
    CHECK(fd >= 0 && w >= 0);
    CHECK_ERRNO(reads(fd, vector), EAGAIN);
    CHECK_ERRNO(reads(fd, vector), EAGAIN);
    CHECK(write(w, "x", 1) == 1 && reads(fd, vector) == 1);
    close(w);
    CHECK(reads(fd, vector) == 0);
    close(fd);
}

static void *reads_twice(void *arg)
{
    int fd = ((int *)arg)[0], vector = ((int *)arg)[1];
    CHECK(reads(fd, vector) == 1 && reads(fd, vector) == 0);
    return NULL;
}

static void made_blocking(int vector, int read_before)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK), arg[] = { fd, vector };
    CHECK(fd >= 0 && (!read_before || reads(fd, vector) == 0));
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    CHECK(reads(fd, vector) == 0 && reads(fd, vector) == 0);
    int w = open(path, O_WRONLY);
    CHECK(w >= 0);
    pthread_t t = start(reads_twice, arg);
    settle();
    CHECK(write(w, "x", 1) == 1);
    settle();
    close(w);
    join(t);
    CHECK(reads(fd, vector) == 0);
    close(fd);
}

/* There is something from before it was opened. */
static void left_behind(void)
{
    int first = open(path, O_RDONLY | O_NONBLOCK), w = open(path, O_WRONLY);
    CHECK(first >= 0 && w >= 0 && write(w, "x", 1) == 1);
    close(w);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    close(first);
    CHECK(fd >= 0 && fcntl(fd, F_SETFL, 0) == 0);
    CHECK(reads(fd, 0) == 1 && reads(fd, 0) == 0);
    close(fd);
}

/* A call that asks for nothing, or of the wrong end, does not wait. */
static void of_nothing(void)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK), w = open(path, O_WRONLY);
    char c;
    const struct iovec none[2] = { { &c, 0 }, { NULL, 0 } };
    CHECK(fd >= 0 && w >= 0 && fcntl(fd, F_SETFL, 0) == 0);
    CHECK(write(w, "x", 1) == 1 && read(fd, &c, 1) == 1);
    CHECK(read(fd, &c, 0) == 0 && readv(fd, none, 2) == 0 && readv(fd, none, 0) == 0);
    CHECK_ERRNO(read(w, &c, 1), EBADF);
    close(w);
    close(fd);
}

/* A pipe in packets, opened anew by name. */
static void packets(void)
{
    int p[2];
    char name[64], c[8];
    CHECK(pipe2(p, O_DIRECT) == 0);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0 && write(p[1], "abc", 3) == 3 && write(p[1], "def", 3) == 3);
    CHECK(read(fd, c, sizeof(c)) == 3 && read(fd, c, sizeof(c)) == 3);
    close(p[0]);
    close(p[1]);
    close(fd);
}

/* It reads only what it has itself written. */
static void both_ways(void)
{
    int fd = open(path, O_RDWR);
    char c[2];
    CHECK(fd >= 0 && write(fd, "ab", 2) == 2 && read(fd, c, 2) == 2 && c[1] == 'b');
    close(fd);
}

static void write_first(void)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK), w = open(path, O_WRONLY | O_NONBLOCK), again = open(path, O_WRONLY | O_NONBLOCK);
    char page[4096] = { 0 };
    CHECK(fd >= 0 && w >= 0 && again >= 0);
    while (write(w, page, sizeof(page)) > 0)
        ;
    CHECK(errno == EAGAIN);
    CHECK_ERRNO(write(again, page, 1), EAGAIN);
    close(again);
    close(fd);
    CHECK_ERRNO(write(w, page, 1), EPIPE);
    close(w);
}

/* One that waits is woken by the writer that comes, and ends with it. */
static void *waits(void *arg)
{
    int fd = open(path, O_RDONLY);
    char c;
    CHECK(fd >= 0);
    CHECK(read(fd, &c, 1) == 1 && c == 'y');
    CHECK(read(fd, &c, 1) == 0);
    close(fd);
    return arg;
}

int main(void)
{
    CHECK(mkdtemp(path) != NULL);
    CHECK(rmdir(path) == 0 && mkfifo(path, 0600) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    pthread_t t = start(waits, NULL);
    settle();
    int w = open(path, O_WRONLY);
    CHECK(w >= 0);
    settle();
    CHECK(write(w, "y", 1) == 1);
    close(w);
    join(t);
    read_first(0);
    read_first(1);
    write_first();
    alarm(60);
    for (int i = 0; i < 4; i++)
        made_blocking(i & 1, i >> 1);
    left_behind();
    of_nothing();
    packets();
    both_ways();
    CHECK(unlink(path) == 0);
    puts("done");
    return 0;
}
