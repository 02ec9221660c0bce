/* handoff_mutex.c: two threads walk round a ring of three mutexes, hand over hand.
 * usage: handoff_mutex [MS]; prints nanoseconds per hand-off.
 *
 * Each thread holds one mutex and takes the next before it lets go of the one it has. With two threads on three mutexes the
 * one in front always holds what the other wants, so every lock waits for an unlock by the other side: a hand-off through
 * nothing but mutexes, with every mutex unlocked by its owner. */
#include "bench.h"

enum { BATCH = 200 };

static pthread_mutex_t ring[3] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static pthread_barrier_t ready;
static int stop; /* written while holding ring[0], read there */

static int step(int held) {
    int next = (held + 1) % 3;
    pthread_mutex_lock(&ring[next]);
    pthread_mutex_unlock(&ring[held]);
    return next;
}

static void *peer(void *arg) {
    int held = 1;
    (void)arg;
    pthread_mutex_lock(&ring[held]);
    pthread_barrier_wait(&ready);
    do
        held = step(held);
    while (held != 0 || !stop);
    pthread_mutex_unlock(&ring[held]);
    return NULL;
}

int main(int argc, char **argv) {
    uint64_t duration = arg_duration(argc, argv), steps = 0, start, spent;
    int held = 0;
    pthread_barrier_init(&ready, NULL, 2);
    pthread_mutex_lock(&ring[held]);
    pthread_t t = start_thread(peer, NULL);
    pthread_barrier_wait(&ready);
    start = now_ns();
    do {
        for (int i = 0; i < BATCH; i++)
            held = step(held);
        steps += BATCH;
        spent = now_ns() - start;
    } while (spent < duration);
    while (held != 0)
        held = step(held);
    stop = 1;
    pthread_mutex_unlock(&ring[held]);
    pthread_join(t, NULL);
    report("handoff_mutex", (double)spent / (2.0 * (double)steps), "ns", "steps=%lu", steps);
    return 0;
}
