/* handoff_pipe.c: two threads pass one byte to and fro through two pipes.
 * usage: handoff_pipe [MS]; prints nanoseconds per hand-off. */
#include "bench.h"

enum { BATCH = 200 };

static int ping[2], pong[2];

static void put(int fd) {
    if (write(fd, "x", 1) != 1)
        die("write");
}

static void *peer(void *arg) {
    char byte;
    (void)arg;
    while (read(ping[0], &byte, 1) == 1)
        put(pong[1]);
    return NULL;
}

static void round_trip(void) {
    char byte;
    put(ping[1]);
    if (read(pong[0], &byte, 1) != 1)
        die("read");
}

int main(int argc, char **argv) {
    uint64_t duration = arg_duration(argc, argv), rounds = 0, start, spent;
    if (pipe(ping) || pipe(pong))
        die("pipe");
    pthread_t t = start_thread(peer, NULL);
    for (int i = 0; i < BATCH; i++)
        round_trip();
    start = now_ns();
    do {
        for (int i = 0; i < BATCH; i++)
            round_trip();
        rounds += BATCH;
        spent = now_ns() - start;
    } while (spent < duration);
    close(ping[1]);
    pthread_join(t, NULL);
    report("handoff_pipe", (double)spent / (2.0 * (double)rounds), "ns", "rounds=%lu", rounds);
    return 0;
}
