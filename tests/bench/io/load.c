/* load.c: load generator. N connections, each with one request under way at any time, from one thread with epoll.
 * usage: load PORT N MS echo|http [SERVER_PID]
 * prints requests per second, and as key=value: p50 and p99 of the latency, the server's CPU per request, its memory and
 * its number of kernel threads while all connections are open, and how busy both sides' CPUs were.
 *
 * When gen_cpu is near 100 % the figure is the generator's limit, not the server's. Connections are opened 64 at a time, each
 * with a first request whose answer shows that its thread runs, so that no SYN is ever dropped and nothing of the opening is
 * measured. They are closed by reset, which leaves no TIME_WAIT behind to starve the next run of ports. */
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, REQUEST = 64, WINDOW = 64, BUCKETS = 64 * 40 };

struct connection {
    int fd;
    uint32_t got; /* bytes of the answer so far */
    uint64_t sent_at;
};

static char request[REQUEST];
static uint32_t answer_size = REQUEST;
static int ep;
static struct connection *all;
static uint64_t requests, histogram[BUCKETS];

/* Buckets of 1/64 of their power of two: a percentile is off by 1.6 % at most. */
static unsigned bucket_of(uint64_t ns) {
    unsigned shift = ns < 128 ? 0 : 63u - (unsigned)__builtin_clzll(ns) - 6;
    unsigned b = shift * 64 + (unsigned)(ns >> shift);
    return b < BUCKETS ? b : BUCKETS - 1;
}

static double percentile_us(double p) {
    uint64_t want = (uint64_t)((double)requests * p), seen = 0;
    for (unsigned b = 0; b < BUCKETS; b++) {
        seen += histogram[b];
        if (seen > want) {
            unsigned shift = b < 128 ? 0 : b / 64 - 1;
            return (double)((uint64_t)(b - shift * 64) << shift) / 1000.0;
        }
    }
    return 0;
}

static void make_request(const char *kind) {
    memset(request, 'x', REQUEST);
    if (!strcmp(kind, "http")) {
        int n = snprintf(request, REQUEST, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
        memset(request + n, 'x', REQUEST - (size_t)n);
        memcpy(request + REQUEST - 4, "\r\n\r\n", 4);
    }
}

static void send_request(struct connection *c, uint64_t now) {
    c->got = 0;
    c->sent_at = now;
    if (write(c->fd, request, REQUEST) != REQUEST)
        die("write of a request");
}

/* True when the answer is complete. */
static int receive(struct connection *c) {
    char buf[1024];
    ssize_t n = read(c->fd, buf, sizeof buf);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        fprintf(stderr, "connection lost: %s\n", n < 0 ? strerror(errno) : "end of file");
        exit(1);
    }
    c->got += (uint32_t)n;
    return c->got >= answer_size;
}

/* Opens a connection and sends its first request. */
static void open_connection(struct connection *c, int port) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a))
        die("connect");
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    send_request(c, now_ns());
    if (c == all) { /* the first answer is read blocking: it tells how long an answer is */
        char buf[1024];
        ssize_t n = read(c->fd, buf, sizeof buf);
        if (n <= 0)
            die("first answer");
        answer_size = (uint32_t)n;
        c->got = answer_size;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e))
        die("epoll_ctl");
}

static void open_all(int n, int port) {
    struct epoll_event events[EVENTS];
    int opened = 0, answered = 0;
    while (answered < n) {
        while (opened < n && opened - answered < WINDOW) {
            open_connection(&all[opened], port);
            answered += opened++ == 0;
        }
        int k = answered < n ? epoll_wait(ep, events, EVENTS, 5000) : 0;
        if (k == 0 && answered < n) {
            fprintf(stderr, "no answer for 5 s with %d of %d connections\n", answered, n);
            exit(1);
        }
        for (int i = 0; i < k; i++)
            answered += receive(events[i].data.ptr);
    }
}

static uint64_t run(uint64_t duration, int n) {
    struct epoll_event events[EVENTS];
    uint64_t start = now_ns(), now = start;
    for (int i = 0; i < n; i++)
        send_request(&all[i], now_ns());
    while (now - start < duration) {
        int k = epoll_wait(ep, events, EVENTS, 5000);
        if (k <= 0) {
            fprintf(stderr, "no answer for 5 s after %lu requests\n", requests);
            exit(1);
        }
        for (int i = 0; i < k; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive(c))
                continue;
            now = now_ns();
            histogram[bucket_of(now - c->sent_at)]++;
            requests++;
            send_request(c, now);
        }
        now = now_ns();
    }
    return now - start;
}

static uint64_t clock_ns(clockid_t id) {
    struct timespec ts = {0, 0};
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: load PORT N MS echo|http [SERVER_PID]\n");
        return 2;
    }
    int port = (int)arg_long(argc, argv, 1, 0), n = (int)arg_long(argc, argv, 2, 1);
    uint64_t duration = (uint64_t)arg_long(argc, argv, 3, 1000) * 1000000u;
    pid_t server = (pid_t)arg_long(argc, argv, 5, 0);
    char status[64];
    clockid_t server_cpu = CLOCK_MONOTONIC;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (server && clock_getcpuclockid(server, &server_cpu))
        die("clock of the server");
    snprintf(status, sizeof status, "/proc/%d/status", server);
    make_request(argv[4]);
    all = allocate((size_t)n, sizeof *all);
    ep = epoll_create1(0);
    long rss0 = proc_field(status, "VmRSS:") + proc_field(status, "VmPTE:");
    open_all(n, port);
    uint64_t server0 = clock_ns(server_cpu), own0 = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t spent = run(duration, n);
    uint64_t server_ns = clock_ns(server_cpu) - server0, own_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own0;
    long rss = proc_field(status, "VmRSS:") + proc_field(status, "VmPTE:");
    double s = (double)spent, r = (double)requests;
    report("load", r / s * 1e9, "req/s",
           "connections=%d p50_us=%.1f p99_us=%.1f cpu_ns=%.0f mem_kib=%ld mem_per_connection_kib=%.2f kernel_threads=%ld "
           "server_cpu=%.0f%% gen_cpu=%.0f%%",
           n, percentile_us(0.50), percentile_us(0.99), (double)server_ns / r, rss, (double)(rss - rss0) / n,
           proc_field(status, "Threads:"), 100.0 * (double)server_ns / s, 100.0 * (double)own_ns / s);
    return 0;
}
