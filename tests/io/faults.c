/* faults.c: a thread-per-connection server whose peers reset, stall, close one half, send a byte at a time or never read;
 * the limit on descriptors; a full disk. Errors come back, and nobody waits for somebody else's trouble. */
#include "iotest.h"
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { EACH = 20, SIZE = 1000, STUCK = 4, BIG = 8 << 20 };

static atomic_int answered, ended, stuck_failed;

/* --- the server --- */

static int transfer(int fd, unsigned char *p, size_t n, int out)
{
    while (n) {
        ssize_t r = out ? send(fd, p, n, MSG_NOSIGNAL) : read(fd, p, n);
        if (r <= 0)
            return (int)r - (r == 0 && !out);
        p += r;
        n -= (size_t)r;
    }
    return 1;
}

static void *serves(void *arg)
{
    int fd = (int)(intptr_t)arg;
    unsigned char buf[SIZE];
    int r;
    while ((r = transfer(fd, buf, SIZE, 0)) > 0) {
        if (buf[0] == 'B') { /* asks for a big answer that nobody reads */
            unsigned char *big = calloc(1, BIG);
            if (transfer(fd, big, BIG, 1) < 0)
                stuck_failed++;
            free(big);
            break;
        }
        if (transfer(fd, buf, SIZE, 1) < 0)
            break;
        answered++;
    }
    ended++;
    close(fd);
    return NULL;
}

static void *accepts(void *arg)
{
    int l = (int)(intptr_t)arg, fd;
    while ((fd = accept(l, NULL, NULL)) >= 0)
        pthread_detach(start(serves, (void *)(intptr_t)fd));
    return NULL;
}

/* --- peers, in a process of their own --- */

static void reset(int fd)
{
    struct linger l = { 1, 0 };
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l) == 0);
    close(fd);
}

static void answer_of(int fd, unsigned char *want)
{
    unsigned char got[SIZE];
    CHECK(transfer(fd, got, SIZE, 0) == 1 && memcmp(got, want, SIZE) == 0);
}

static void peers(const struct sockaddr_in *a, int done)
{
    unsigned char m[SIZE], c;
    int stuck[STUCK], stalled[EACH];
    memset(m, 'B', SIZE);
    for (int i = 0; i < STUCK; i++) {
        stuck[i] = connect_tcp(a);
        CHECK(transfer(stuck[i], m, SIZE, 1) == 1);
    }
    fill(m, SIZE, 1);
    for (int i = 0; i < EACH; i++) {
        stalled[i] = connect_tcp(a);
        CHECK(transfer(stalled[i], m, SIZE / 2, 1) == 1);
    }
    for (int i = 0; i < EACH; i++) {
        int fd = connect_tcp(a);
        CHECK(transfer(fd, m, SIZE / 3, 1) == 1);
        reset(fd);
        fd = connect_tcp(a); /* one half closed: the answer still comes, then the end */
        CHECK(transfer(fd, m, SIZE, 1) == 1 && shutdown(fd, SHUT_WR) == 0);
        answer_of(fd, m);
        CHECK(read(fd, &c, 1) == 0);
        close(fd);
        fd = connect_tcp(a);
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        for (int k = 0; k < SIZE; k++)
            CHECK(send(fd, m + k, 1, 0) == 1);
        answer_of(fd, m);
        close(fd);
    }
    for (int i = 0; i < EACH; i++) {
        CHECK(transfer(stalled[i], m + SIZE / 2, SIZE - SIZE / 2, 1) == 1);
        answer_of(stalled[i], m);
        close(stalled[i]);
    }
    CHECK(read(done, &c, 1) == 1);
    for (int i = 0; i < STUCK; i++)
        reset(stuck[i]);
    _exit(0);
}

static void connections(void)
{
    struct sockaddr_in a;
    int l = listen_tcp(&a, 100), done[2];
    CHECK(pipe(done) == 0);
    pid_t pid = fork();
    if (pid == 0)
        peers(&a, done[0]);
    pthread_t t = start(accepts, (void *)(intptr_t)l);
    for (int i = 0; i < 10000 && ended < 4 * EACH; i++)
        msleep(1);
    printf("answered %d, ended %d, stuck %d\n", answered, ended, stuck_failed);
    CHECK(write(done[1], "x", 1) == 1);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < 10000 && ended < 4 * EACH + STUCK; i++)
        msleep(1);
    printf("ended %d, of which failed in the middle of an answer %d\n", ended, stuck_failed);
    shutdown(l, SHUT_RDWR);
    join(t);
    close(l);
}

/* --- the limit on descriptors --- */

static void *echo_once(void *arg)
{
    char c;
    int fd = (int)(intptr_t)arg;
    CHECK(read(fd, &c, 1) == 1 && write(fd, &c, 1) == 1);
    return NULL;
}

static void limit(void)
{
    struct sockaddr_in a;
    struct rlimit old, low;
    int l = listen_tcp(&a, 100), pair[2], out, in, p[2];
    char c = 'c';
    tcp_pair(pair);
    pthread_t t = start(echo_once, (void *)(intptr_t)pair[1]);
    out = connect_tcp(&a);
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    low = old;
    low.rlim_cur = (rlim_t)out + 1; /* all numbers below are in use */
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    CHECK_ERRNO(accept(l, NULL, NULL), EMFILE);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    CHECK_ERRNO(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_ERRNO(pipe(p), EMFILE);
    CHECK_ERRNO(dup(0), EMFILE);
    CHECK(write(pair[0], &c, 1) == 1 && read(pair[0], &c, 1) == 1); /* who has a descriptor goes on */
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    in = accept(l, NULL, NULL);
    CHECK(in >= 0 && write(in, &c, 1) == 1 && read(out, &c, 1) == 1);
    join(t);
    close(in), close(out), close(l), close(pair[0]), close(pair[1]);
    puts("limit on descriptors: EMFILE, and on it goes");
}

/* --- a full disk --- */

static char folder[] = "/tmp/preloom-faults-XXXXXX";

static void *fills(void *arg)
{
    char name[64], block[4096] = { 1 };
    long n, total = 0;
    snprintf(name, sizeof name, "%s/%d", folder, (int)(intptr_t)arg);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    while ((n = write(fd, block, sizeof block)) > 0)
        total += n;
    CHECK(n == -1 && errno == ENOSPC);
    CHECK(fsync(fd) == 0);
    close(fd);
    return (void *)total;
}

static void *device(void *arg)
{
    (void)arg;
    int fd = open("/dev/full", O_WRONLY);
    CHECK(fd >= 0);
    CHECK_ERRNO((int)write(fd, "x", 1), ENOSPC);
    close(fd);
    return NULL;
}

static void full(void)
{
    long total = 0;
    join(start(device, NULL));
    CHECK(mkdtemp(folder));
    if (mount("tmpfs", folder, "tmpfs", 0, "size=256k") == 0) { /* needs privileges */
        pthread_t t[4];
        for (int i = 0; i < 4; i++)
            t[i] = start(fills, (void *)(intptr_t)i);
        for (int i = 0; i < 4; i++)
            total += (long)(intptr_t)join(t[i]);
        CHECK(umount(folder) == 0);
        CHECK(total <= 256 << 10 && total >= 128 << 10);
    }
    rmdir(folder);
    puts("full disk: ENOSPC");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    connections();
    limit();
    full();
    return 0;
}
