/* handoff_sem.c: two threads pass a turn to and fro through two semaphores.
 * usage: handoff_sem [MS]; prints nanoseconds per hand-off. */
#include "bench.h"
#include <semaphore.h>

enum { BATCH = 200 };

static sem_t ping, pong;
static int stop;

static void *peer(void *arg) {
    (void)arg;
    for (;;) {
        sem_wait(&ping);
        if (stop)
            return NULL;
        sem_post(&pong);
    }
}

static void round_trip(void) {
    sem_post(&ping);
    sem_wait(&pong);
}

int main(int argc, char **argv) {
    uint64_t duration = arg_duration(argc, argv), rounds = 0, start, spent;
    sem_init(&ping, 0, 0);
    sem_init(&pong, 0, 0);
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
    stop = 1;
    sem_post(&ping);
    pthread_join(t, NULL);
    report("handoff_sem", (double)spent / (2.0 * (double)rounds), "ns", "rounds=%lu", rounds);
    return 0;
}
