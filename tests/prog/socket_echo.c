/* socket_echo.c: a TCP echo server with a thread per connection and its clients, and socket pairs, in one process. */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CLIENTS 30
#define MESSAGES 30

static struct sockaddr_in address;

static void read_all(int fd, char *buffer, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, buffer, size, 0);
        CHECK(n > 0);
        buffer += n;
        size -= (size_t)n;
    }
}

static void *serves(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[4096];
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
        CHECK(send(fd, buffer, (size_t)n, 0) == n);
    CHECK(n == 0 && close(fd) == 0);
    return NULL;
}

static void *listens(void *arg)
{
    int fd = (int)(intptr_t)arg;
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        int connection = accept(fd, NULL, NULL);
        CHECK(connection >= 0);
        threads[i] = start(serves, (void *)(intptr_t)connection);
    }
    for (int i = 0; i < CLIENTS; i++)
        join(threads[i]);
    return NULL;
}

static void *asks(void *arg)
{
    int id = (int)(intptr_t)arg, fd = socket(AF_INET, SOCK_STREAM, 0);
    char out[512], in[512];
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    for (int i = 0; i < MESSAGES; i++) {
        memset(out, id * 31 + i, sizeof out);
        CHECK(send(fd, out, sizeof out, 0) == sizeof out);
        read_all(fd, in, sizeof in);
        CHECK(memcmp(in, out, sizeof in) == 0);
    }
    CHECK(close(fd) == 0);
    return NULL;
}

static void over_tcp(void)
{
    pthread_t clients[CLIENTS];
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(fd, CLIENTS) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    pthread_t server = start(listens, (void *)(intptr_t)fd);
    for (intptr_t i = 0; i < CLIENTS; i++)
        clients[i] = start(asks, (void *)i);
    for (int i = 0; i < CLIENTS; i++)
        join(clients[i]);
    join(server);
    CHECK(close(fd) == 0);
    printf("%d connections\n", CLIENTS);
}

static void over_pairs(void)
{
    pthread_t servers[CLIENTS];
    int fds[CLIENTS][2];
    char c;
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]) == 0);
        servers[i] = start(serves, (void *)(intptr_t)fds[i][1]);
    }
    for (int m = 0; m < MESSAGES; m++) {
        for (int i = 0; i < CLIENTS; i++)
            CHECK(write(fds[i][0], &(char){(char)(m + i)}, 1) == 1);
        for (int i = 0; i < CLIENTS; i++)
            CHECK(read(fds[i][0], &c, 1) == 1 && c == (char)(m + i));
    }
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(shutdown(fds[i][0], SHUT_WR) == 0);
        CHECK(read(fds[i][0], &c, 1) == 0);
        join(servers[i]);
        CHECK(close(fds[i][0]) == 0);
    }
    printf("%d pairs\n", CLIENTS);
}

int main(void)
{
    over_tcp();
    over_pairs();
    return 0;
}
