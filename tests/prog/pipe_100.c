/* pipe_100.c: a hundred threads blocked in read while two compute; then all are fed, and answer. */
#include "check.h"

#define READERS 100

static int to[READERS][2], back[2];
static int computed, started, stop;

static void *reads(void *arg)
{
    int me = (int)(intptr_t)arg;
    int32_t message;
    for (int round = 0; round < 3; round++) {
        __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
        CHECK(read(to[me][0], &message, sizeof message) == sizeof message);
        CHECK(message == me * 100 + round);
        message = me;
        CHECK(write(back[1], &message, sizeof message) == sizeof message);
    }
    char c;
    CHECK(read(to[me][0], &c, 1) == 0); /* the other end was closed */
    return NULL;
}

/* Counts primes again and again; each turn must give the same answer. */
static void *computes(void *arg)
{
    do {
        int primes = 0;
        for (int n = 2; n < 3000; n++) {
            int d = 2;
            while (d * d <= n && n % d != 0)
                d++;
            primes += d * d > n;
        }
        CHECK(primes == 430);
        __atomic_add_fetch(&computed, 1, __ATOMIC_SEQ_CST);
    } while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST));
    return arg;
}

int main(void)
{
    pthread_t readers[READERS], computing[2];
    CHECK(pipe(back) == 0);
    for (intptr_t i = 0; i < READERS; i++) {
        CHECK(pipe(to[i]) == 0);
        readers[i] = start(reads, (void *)i);
    }
    for (int i = 0; i < 2; i++)
        computing[i] = start(computes, NULL);

    for (int round = 0; round < 3; round++) {
        /* All are in, or about to be in, their read, and the two get on nevertheless. */
        while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < READERS * (round + 1))
            sched_yield();
        int before = __atomic_load_n(&computed, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&computed, __ATOMIC_SEQ_CST) < before + 4)
            sched_yield();
        for (int32_t i = 0; i < READERS; i++) {
            int32_t message = i * 100 + round;
            CHECK(write(to[i][1], &message, sizeof message) == sizeof message);
        }
        long sum = 0;
        for (int i = 0; i < READERS; i++) {
            int32_t answer;
            CHECK(read(back[0], &answer, sizeof answer) == sizeof answer);
            sum += answer;
        }
        printf("round %d: %ld\n", round, sum);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2; i++)
        join(computing[i]);
    for (int i = 0; i < READERS; i++)
        CHECK(close(to[i][1]) == 0);
    for (int i = 0; i < READERS; i++)
        join(readers[i]);
    return 0;
}
