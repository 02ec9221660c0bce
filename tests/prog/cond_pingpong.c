/* cond_pingpong.c: two threads hand a turn to each other by condition variables, and 20 pass one round a ring. */
#include "check.h"

#define ROUNDS 5000
#define RING 20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turns[RING];
static int turn, ring;
static long hops;

static void *player(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS / ring; i++) {
        CHECK0(pthread_mutex_lock(&lock));
        while (turn != me)
            CHECK0(pthread_cond_wait(&turns[me], &lock));
        hops++;
        turn = (me + 1) % ring;
        CHECK0(pthread_cond_signal(&turns[turn]));
        CHECK0(pthread_mutex_unlock(&lock));
    }
    return NULL;
}

static void play(int n)
{
    pthread_t threads[RING];
    ring = n;
    turn = 0;
    hops = 0;
    for (intptr_t i = 0; i < n; i++)
        threads[i] = start(player, (void *)i);
    for (int i = 0; i < n; i++)
        join(threads[i]);
    printf("%d players: %ld hops\n", n, hops);
}

int main(void)
{
    for (int i = 0; i < RING; i++)
        CHECK0(pthread_cond_init(&turns[i], NULL));
    play(2);
    play(RING);
    return 0;
}
