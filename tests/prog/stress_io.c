/* stress_io.c: pairs of threads send random portions through pipes and sockets, waiting by read, poll or both; sums agree. */
#include "stress.h"
#include <poll.h>
#include <sys/socket.h>

#define PAIRS 16

static int fds[PAIRS][2];

static uint64_t add(uint64_t sum, const unsigned char *bytes, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

static void *sends(void *arg)
{
    int id = (int)(intptr_t)arg;
    uint32_t state = stress_random(id);
    unsigned char buffer[20000];
    uint64_t sum = 0;
    while (!stress_over()) {
        size_t size = 1 + random_next(&state) % (random_next(&state) % 8 ? 100 : sizeof buffer);
        for (size_t i = 0; i < size; i++)
            buffer[i] = (unsigned char)(state >> i % 24);
        for (size_t sent = 0; sent < size;) {
            ssize_t n = write(fds[id][1], buffer + sent, size - sent);
            CHECK(n > 0);
            sent += (size_t)n;
        }
        sum = add(sum, buffer, (ssize_t)size);
        stress_pause(&state);
    }
    CHECK(close(fds[id][1]) == 0);
    return (void *)(uintptr_t)sum;
}

static void *receives(void *arg)
{
    int id = (int)(intptr_t)arg;
    uint32_t state = stress_random(id + PAIRS);
    unsigned char buffer[8192];
    uint64_t sum = 0;
    for (;;) {
        if (random_next(&state) % 2) {
            struct pollfd pfd = {fds[id][0], POLLIN, 0};
            int n = poll(&pfd, 1, random_next(&state) % 2 ? -1 : (int)(random_next(&state) % 3));
            CHECK(n == 0 || (n == 1 && (pfd.revents & (POLLIN | POLLHUP))));
            if (n == 0)
                continue;
        }
        ssize_t n = read(fds[id][0], buffer, 1 + random_next(&state) % sizeof buffer);
        CHECK(n >= 0);
        if (n == 0)
            return (void *)(uintptr_t)sum;
        sum = add(sum, buffer, n);
        stress_pause(&state);
    }
}

int main(int argc, char **argv)
{
    pthread_t senders[PAIRS], receivers[PAIRS];
    stress_begin(argc, argv, 300);
    for (intptr_t i = 0; i < PAIRS; i++) {
        CHECK((i % 2 ? pipe(fds[i]) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i])) == 0);
        receivers[i] = start(receives, (void *)i);
        senders[i] = start(sends, (void *)i);
    }
    for (int i = 0; i < PAIRS; i++) {
        void *sent = join(senders[i]);
        CHECK(join(receivers[i]) == sent);
    }
    puts("all arrived");
    return 0;
}
