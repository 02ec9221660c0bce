/* handoff_cond.c: two threads pass a turn to and fro through one condition variable.
 * usage: handoff_cond [MS]; prints nanoseconds per hand-off. */
#include "bench.h"

enum { BATCH = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn, stop;

/* The signal comes before the unlock, as most programs have it: the woken side then finds the mutex taken or free,
 * depending on how soon it runs. */
static void pass(int me, int *stopped) {
    pthread_mutex_lock(&lock);
    while (turn != me)
        pthread_cond_wait(&changed, &lock);
    turn = !me;
    *stopped = stop;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void *peer(void *arg) {
    (void)arg;
    for (int stopped = 0; !stopped;)
        pass(1, &stopped);
    return NULL;
}

int main(int argc, char **argv) {
    uint64_t duration = arg_duration(argc, argv), rounds = 0, start, spent;
    int stopped;
    pthread_t t = start_thread(peer, NULL);
    for (int i = 0; i < BATCH; i++)
        pass(0, &stopped);
    start = now_ns();
    do {
        for (int i = 0; i < BATCH; i++)
            pass(0, &stopped);
        rounds += BATCH;
        spent = now_ns() - start;
    } while (spent < duration);
    pthread_mutex_lock(&lock);
    stop = 1;
    pthread_mutex_unlock(&lock);
    pass(0, &stopped);
    pthread_join(t, NULL);
    report("handoff_cond", (double)spent / (2.0 * (double)rounds), "ns", "rounds=%lu", rounds);
    return 0;
}
