/* transfers.c: sendfile, splice, tee and vmsplice: many that wait at once, all that was sent arrives, peers that reset in the
 * middle, signals, timeouts, descriptors that the program made non-blocking. */
#include "iotest.h"
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/time.h>

enum { PAIRS = 24, PIPES = 100, SIZE = 3 << 20 };

static int file, tcp[PAIRS][2], up[PIPES][2], down[PIPES][2];
static unsigned char *content;
static atomic_int under_way;

static void make_file(void)
{
    char name[] = "/tmp/preloom-transfers-XXXXXX";
    content = malloc(SIZE);
    fill(content, SIZE, 5);
    file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0 && write(file, content, SIZE) == SIZE);
}

static void *sends_file(void *arg)
{
    off_t at = 0;
    atomic_fetch_add(&under_way, 1);
    CHECK(sendfile((int)(intptr_t)arg, file, &at, SIZE) == SIZE && at == SIZE);
    CHECK(shutdown((int)(intptr_t)arg, SHUT_WR) == 0);
    return NULL;
}

/* From a socket through a pipe into a socket, as proxies do. */
static void *relays(void *arg)
{
    int i = (int)(intptr_t)arg, p[2];
    long sum = 0;
    CHECK(pipe(p) == 0);
    for (;;) {
        ssize_t n = splice(tcp[i][1], NULL, p[1], NULL, 100000, SPLICE_F_MOVE);
        CHECK(n >= 0);
        if (n == 0)
            break;
        for (ssize_t done = 0; done < n;) {
            ssize_t m = splice(p[0], NULL, up[i][0], NULL, (size_t)(n - done), SPLICE_F_MOVE);
            CHECK(m > 0);
            done += m;
        }
        sum += n;
    }
    CHECK(shutdown(up[i][0], SHUT_WR) == 0);
    close(p[0]), close(p[1]);
    return (void *)sum;
}

/* Everybody is stuck behind the last socket; then it is read. */
static void relayed(void)
{
    pthread_t a[PAIRS], b[PAIRS];
    unsigned char *got = malloc(SIZE);
    for (int i = 0; i < PAIRS; i++) {
        tcp_pair(tcp[i]);
        if (i % 2)
            tcp_pair(up[i]);
        else
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, up[i]) == 0);
        a[i] = start(sends_file, (void *)(intptr_t)tcp[i][0]);
        b[i] = start(relays, (void *)(intptr_t)i);
    }
    while (atomic_load(&under_way) < PAIRS)
        msleep(1);
    settle();
    for (int i = 0; i < PAIRS; i++) {
        memset(got, 0, SIZE);
        read_exact(up[i][1], got, SIZE);
        CHECK(read(up[i][1], got, 1) == 0 && memcmp(got + 1, content + 1, SIZE - 1) == 0);
        join(a[i]);
        CHECK((long)join(b[i]) == SIZE);
        close(tcp[i][0]), close(tcp[i][1]), close(up[i][0]), close(up[i][1]);
    }
    printf("%d relays: all has arrived\n", PAIRS);
    free(got);
}

static void *tees(void *arg)
{
    int i = (int)(intptr_t)arg;
    ssize_t n = tee(up[i][0], down[i][1], 100, 0);
    return (void *)n;
}

static void *maps(void *arg)
{
    int i = (int)(intptr_t)arg;
    struct iovec v = { content, 1000 };
    ssize_t n = vmsplice(up[i][1], &v, 1, 0);
    return (void *)n;
}

static void *splices(void *arg)
{
    int i = (int)(intptr_t)arg;
    ssize_t n = splice(up[i][0], NULL, down[i][1], NULL, 100, 0);
    return (void *)n;
}

static void *to_file(void *arg)
{
    int i = (int)(intptr_t)arg;
    loff_t at = SIZE;
    ssize_t n = splice(up[i][0], NULL, file, &at, 100, 0);
    CHECK(at == SIZE + (n > 0 ? n : 0));
    return (void *)n;
}

static void *from_file(void *arg)
{
    int i = (int)(intptr_t)arg;
    loff_t at = 10;
    ssize_t n = splice(file, &at, up[i][1], NULL, 100, 0);
    return (void *)n;
}

static void *file_to_pipe(void *arg)
{
    int i = (int)(intptr_t)arg;
    off_t at = 10;
    ssize_t n = sendfile(up[i][1], file, &at, 100);
    return (void *)n;
}

static void brim(int fd)
{
    char page[4096] = "";
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    while (write(fd, page, sizeof page) > 0)
        ;
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
}

/* More of each than there may be kernel threads in test runs: nobody gets into another's way. The relays are fewer: on a
 * busy machine each may be in the middle of a call, with a kernel thread that waits for its CPU. */
static void pipes(const char *what, void *(*fn)(void *), int full, int second)
{
    pthread_t t[PIPES];
    long sum = 0;
    char buf[4096];
    for (int i = 0; i < PIPES; i++) {
        CHECK(pipe(up[i]) == 0 && pipe(down[i]) == 0);
        if (full)
            brim(second ? down[i][1] : up[i][1]);
        if (full && second)
            CHECK(write(up[i][1], content, 50) == 50);
        t[i] = start(fn, (void *)(intptr_t)i);
    }
    settle();
    for (int i = 0; i < PIPES; i++) {
        if (full)
            for (int k = 0; k < 4; k++)
                read_exact(second ? down[i][0] : up[i][0], buf, sizeof buf);
        else
            CHECK(write(up[i][1], content, 50) == 50);
        sum += (long)join(t[i]);
    }
    for (int i = 0; i < PIPES; i++)
        close(up[i][0]), close(up[i][1]), close(down[i][0]), close(down[i][1]);
    printf("%s: %ld\n", what, sum);
}

/* Small buffers, so that not all fits. */
static void make_small(void)
{
    int size = 20000;
    tcp_pair(tcp[0]);
    CHECK(setsockopt(tcp[0][0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    CHECK(setsockopt(tcp[0][1], SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
}

static void *sends_until_error(void *arg)
{
    off_t at = 0;
    ssize_t n = 0, sum = 0;
    (void)arg;
    while (at < SIZE && (n = sendfile(tcp[0][0], file, &at, (size_t)(SIZE - at))) > 0)
        sum += n;
    return sum == at && n < 0 ? strdup(strerrorname_np(errno)) : "no error";
}

static void resets(void)
{
    for (int round = 0; round < 2; round++) {
        make_small();
        pthread_t t = start(sends_until_error, NULL);
        settle();
        if (round == 0) {
            struct linger linger = { 1, 0 };
            setsockopt(tcp[0][1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        }
        close(tcp[0][1]); /* with data unread that is a reset too */
        char *text = join(t);
        printf("%s in the middle of sendfile: %s\n", round ? "close" : "reset",
               strcmp(text, "EPIPE") && strcmp(text, "ECONNRESET") ? text : "an error");
        close(tcp[0][0]);
    }
}

static void on_signal(int sig)
{
    (void)sig;
}

static void *sends_once(void *arg)
{
    off_t at = 0;
    ssize_t n = sendfile(tcp[0][0], file, &at, SIZE);
    (void)arg;
    CHECK(n < 0 || n == at);
    return n < 0 ? strdup(strerrorname_np(errno)) : n < SIZE ? "a part" : "all";
}

static void interruptions(void)
{
    struct sigaction act = { .sa_handler = on_signal };
    struct timeval tv = { 0, 50000 };
    CHECK(sigaction(SIGUSR1, &act, NULL) == 0);
    make_small();
    pthread_t t = start(sends_once, NULL);
    all_settle();
    pthread_kill(t, SIGUSR1);
    printf("interrupted: %s", (char *)join(t));
    close(tcp[0][0]), close(tcp[0][1]);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, tcp[0]) == 0); /* where full is full: no answers are on their way */
    CHECK(setsockopt(tcp[0][0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) == 0);
    brim(tcp[0][0]);
    printf(", with a timeout and full: %s", (char *)join(start(sends_once, NULL)));
    CHECK(fcntl(tcp[0][0], F_SETFL, O_NONBLOCK) == 0);
    printf(", non-blocking: %s", (char *)join(start(sends_once, NULL)));
    close(tcp[0][0]), close(tcp[0][1]);
    make_small();
    CHECK(fcntl(tcp[0][0], F_SETFL, O_NONBLOCK) == 0);
    printf(", and empty: %s\n", (char *)join(start(sends_once, NULL)));
    close(tcp[0][0]), close(tcp[0][1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    join(start(nothing, NULL));
    make_file();
    relayed();
    pipes("tee, nothing there", tees, 0, 0);
    pipes("tee, no room", tees, 1, 1);
    pipes("vmsplice, no room", maps, 1, 0);
    pipes("splice, nothing there", splices, 0, 0);
    pipes("splice, no room", splices, 1, 1);
    pipes("splice to a file", to_file, 0, 0);
    pipes("splice from a file", from_file, 1, 0);
    pipes("sendfile to a pipe", file_to_pipe, 1, 0);
    resets();
    interruptions();
    return 0;
}
