/* specials.c: eventfd, timerfd, signalfd, inotify, FIFOs by name (open blocks, too), ptys, regular files, devices. */
#include "iotest.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <termios.h>

static char dir[] = "/tmp/preloom-io-XXXXXX";
static char path[64];

static void *event_writer(void *arg)
{
    uint64_t one = 1;
    for (int i = 0; i < 1000; i++) {
        CHECK(write((int)(intptr_t)arg, &one, 8) == 8);
        if (i % 100 == 0)
            msleep(1);
    }
    return NULL;
}

static void events(void)
{
    uint64_t v, sum = 0;
    int fd = eventfd(0, 0);
    pthread_t t = start(event_writer, (void *)(intptr_t)fd);
    while (sum < 1000) {
        CHECK(read(fd, &v, 8) == 8);
        sum += v;
    }
    join(t);
    CHECK(sum == 1000);
    CHECK_ERRNO(read(fd, &v, 4), EINVAL);
    close(fd);
    fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 3; i++)
        CHECK(read(fd, &v, 8) == 8 && v == 1);
    CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
    close(fd);
}

static void timers(void)
{
    struct itimerspec its = { { 0, 10000000 }, { 0, 20000000 } };
    uint64_t n, sum = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    int64_t t0 = now_ms();
    CHECK(timerfd_settime(fd, 0, &its, NULL) == 0);
    while (sum < 5) {
        CHECK(read(fd, &n, 8) == 8);
        sum += n;
    }
    CHECK(now_ms() - t0 >= 55);
    close(fd);
}

static void *touches(void *arg)
{
    settle();
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    return arg;
}

static void watches(void)
{
    char buf[512];
    int fd = inotify_init();
    snprintf(path, sizeof path, "%s/file", dir);
    CHECK(inotify_add_watch(fd, dir, IN_CREATE) >= 0);
    pthread_t t = start(touches, NULL);
    CHECK(read(fd, buf, sizeof buf) >= (ssize_t)sizeof(struct inotify_event));
    join(t);
    close(fd);
    unlink(path);
}

static void *opens_to_write(void *arg)
{
    settle();
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0);
    for (int i = 0; i < 5; i++) {
        CHECK(write(fd, "hello", 5) == 5);
        msleep(3);
    }
    char *big = calloc(1, 200000);
    CHECK(write(fd, big, 200000) == 200000);
    free(big);
    close(fd);
    return arg;
}

static void fifos(void)
{
    char buf[4096];
    ssize_t n, total = 0;
    snprintf(path, sizeof path, "%s/fifo", dir);
    CHECK(mkfifo(path, 0600) == 0);
    pthread_t t = start(opens_to_write, NULL);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    while ((n = read(fd, buf, sizeof buf)) > 0)
        total += n;
    CHECK(n == 0 && total == 200025);
    join(t);
    close(fd);
    unlink(path);
}

static int master, slave;

static void *types(void *arg)
{
    settle();
    CHECK(write(master, "line\n", 5) == 5);
    settle();
    CHECK(write(master, "c", 1) == 1);
    return arg;
}

static void ptys(void)
{
    char b[64];
    struct termios t;
    master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(slave >= 0 && tcgetattr(slave, &t) == 0);
    pthread_t w = start(types, NULL);
    CHECK(read(slave, b, sizeof b) == 5 && !memcmp(b, "line\n", 5));
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
    CHECK(read(slave, b, sizeof b) == 1 && b[0] == 'c');
    join(w);
    t.c_cc[VMIN] = 0;
    CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
    CHECK(read(slave, b, sizeof b) == 0); /* VMIN 0: does not wait */
    t.c_cc[VTIME] = 1;
    CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
    int64_t t0 = now_ms();
    CHECK(read(slave, b, sizeof b) == 0);
    CHECK(now_ms() - t0 >= 80);
    CHECK(write(slave, "out", 3) == 3);
    ssize_t n = 0, r;
    while (n < 9) { /* echo of the line, then ours */
        CHECK((r = read(master, b, sizeof b)) > 0);
        n += r;
    }
    CHECK(!(fcntl(master, F_GETFL) & O_NONBLOCK) && !(fcntl(slave, F_GETFL) & O_NONBLOCK));
    close(slave);
    CHECK_ERRNO(read(master, b, 1), EIO);
    close(master);
}

static void files(void)
{
    char b[64];
    snprintf(path, sizeof path, "%s/regular", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(write(fd, "0123456789", 10) == 10 && lseek(fd, 2, SEEK_SET) == 2);
    CHECK(read(fd, b, 4) == 4 && !memcmp(b, "2345", 4));
    struct iovec v[2] = { { b, 2 }, { b + 2, 10 } };
    CHECK(readv(fd, v, 2) == 4 && !memcmp(b, "6789", 4));
    CHECK(read(fd, b, 4) == 0);
    CHECK(pread(fd, b, 3, 1) == 3 && pwritev(fd, v, 1, 3) == 2 && fsync(fd) == 0);
    close(fd);
    CHECK_ERRNO(read(fd, b, 1), EBADF);
    fd = open(path, O_RDONLY);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    close(fd);
    unlink(path);
    fd = open(dir, O_RDONLY);
    CHECK_ERRNO(read(fd, b, 1), EISDIR);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    CHECK(read(fd, b, 1) == 0 && write(fd, b, 10) == 10);
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    CHECK(read(fd, b, 8) == 8);
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    CHECK_ERRNO(write(fd, b, 8), ENOSPC);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    CHECK(read(fd, b, 8) == 8);
    close(fd);
    int p[2];
    char *volatile bad = (char *)8;
    CHECK(pipe(p) == 0);
    CHECK_ERRNO(read(p[1], b, 1), EBADF);
    CHECK_ERRNO(write(p[0], b, 1), EBADF);
    CHECK_ERRNO(write(p[1], bad, 1), EFAULT);
    CHECK(write(p[1], "x", 1) == 1);
    CHECK_ERRNO(read(p[0], bad, 1), EFAULT);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    CHECK(mkdtemp(dir) != NULL);
    join(start(nothing, NULL));
    events();
    timers();
    watches();
    fifos();
    ptys();
    files();
    rmdir(dir);
    puts("specials ok");
    return 0;
}
