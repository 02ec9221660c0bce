/* echo_server.c: a thread per connection sends back what it reads. usage: echo_server; prints `port N`. */
#include "io/serve.h"

static void *echo(void *arg) {
    char buf[1024];
    int fd = (int)(intptr_t)arg;
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        if (write_all(fd, buf, (size_t)n))
            break;
    close(fd);
    return NULL;
}

int main(void) { serve(echo); }
