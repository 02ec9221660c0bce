/* turns_wired.c: two threads with a directory of their own (which preloom wires) hand off to each other; one that they wake has its
 * turn, too. */
#include "check.h"
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST_ROUNDS = 1000000, LEAST = 10 };

static sem_t ping, pong, third, done;
static atomic_ulong woken, ran;
static atomic_bool had_turns;

static void *first(void *arg)
{
    CHECK(unshare(CLONE_FS) == 0);
    for (long i = 0;; i++) {
        sem_wait(&ping);
        if (ran >= LEAST || i == MOST_ROUNDS) {
            had_turns = ran >= LEAST;
            sem_post(&done);
            return arg;
        }
        if (woken == ran) {
            woken++;
            sem_post(&third);
        }
        sem_post(&pong);
    }
}

static void *second(void *arg)
{
    CHECK(unshare(CLONE_FS) == 0);
    for (;;) {
        sem_wait(&pong);
        sem_post(&ping);
    }
    return arg;
}

static void *is_woken(void *arg)
{
    for (;;) {
        sem_wait(&third);
        ran++;
    }
    return arg;
}

int main(void)
{
    start(is_woken, NULL);
    start(first, NULL);
    start(second, NULL);
    sem_post(&ping);
    sem_wait(&done);
    CHECK(had_turns);
    return 0;
}
