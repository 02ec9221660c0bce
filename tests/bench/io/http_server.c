/* http_server.c: a thread per connection answers HTTP/1.1 requests without a body, with keep-alive and pipelining.
 * usage: http_server [SECONDS TO LIVE]; prints `port N`. */
#include "io/serve.h"

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n";

static void *connection(void *arg) {
    char buf[4096];
    size_t have = 0;
    int fd = (int)(intptr_t)arg;
    ssize_t n;
    while (have < sizeof buf && (n = read(fd, buf + have, sizeof buf - have)) > 0) {
        char *begin = buf, *end, *limit = buf + have + n;
        while ((end = memmem(begin, (size_t)(limit - begin), "\r\n\r\n", 4))) {
            if (write_all(fd, answer, sizeof answer - 1))
                goto out;
            begin = end + 4;
        }
        have = (size_t)(limit - begin);
        memmove(buf, begin, have);
    }
out:
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1)
        lifetime_seconds = (unsigned)atoi(argv[1]);
    serve(connection);
}
