/*
 * stress_futex.c: waiters are moved between two futexes and woken in random portions; each generation must reach all.
 *
 * Nobody repeats a wake that was given: one that is lost hangs the program.
 */
#include "futex.h"
#include "stress.h"

#define N 24

static uint32_t gate, waiting_room, arrived, finished;
static int stop;

static void wait_while(uint32_t *word, uint32_t value, uint32_t *state)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
        struct timespec relative = {0, (long)(random_next(state) % 3000000)};
        struct timespec absolute = deadline(CLOCK_MONOTONIC, random_next(state) % 3);
        switch (random_next(state) % 4) {
        case 0:
            futex(word, FUTEX_WAIT_PRIVATE, value, &relative, NULL, 0);
            break;
        case 1:
            futex(word, FUTEX_WAIT_BITSET_PRIVATE, value, &absolute, NULL, FUTEX_BITSET_MATCH_ANY);
            break;
        default:
            futex(word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
        }
    }
}

static void *worker(void *arg)
{
    uint32_t state = stress_random((int)(intptr_t)arg), generation = 0;
    for (;;) {
        if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == N)
            CHECK(futex(&arrived, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
        wait_while(&gate, generation, &state);
        CHECK(__atomic_load_n(&gate, __ATOMIC_ACQUIRE) == ++generation);
        if (__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
            return NULL;
        stress_pause(&state);
        if (__atomic_add_fetch(&finished, 1, __ATOMIC_ACQ_REL) == N)
            CHECK(futex(&finished, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) >= 0); /* workers wait there too */
        uint32_t seen;
        /* The leader takes it back to zero. */
        while ((seen = __atomic_load_n(&finished, __ATOMIC_ACQUIRE)) != 0)
            wait_while(&finished, seen, &state);
    }
}

/* Waits until all have counted themselves; the last one wakes us. */
static void wait_for_all(uint32_t *count)
{
    uint32_t seen;
    while ((seen = __atomic_load_n(count, __ATOMIC_ACQUIRE)) != N)
        futex(count, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

/* Some are woken where they wait, the rest are moved and woken in the waiting room. */
static void open_gate(uint32_t *state)
{
    uint32_t generation = __atomic_add_fetch(&gate, 1, __ATOMIC_ACQ_REL);
    switch (random_next(state) % 3) {
    case 0:
        CHECK(futex(&gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) >= 0);
        break;
    case 1:
        CHECK(futex2(&gate, FUTEX_CMP_REQUEUE_PRIVATE, random_next(state) % N, INT_MAX, &waiting_room, generation) >= 0);
        break;
    case 2:
        CHECK(futex2(&gate, FUTEX_REQUEUE_PRIVATE, random_next(state) % N, random_next(state) % N, &waiting_room, 0) >= 0);
        CHECK(futex(&gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) >= 0);
        break;
    }
    while (futex(&waiting_room, FUTEX_WAKE_PRIVATE, 1 + random_next(state) % N, NULL, NULL, 0) > 0)
        ;
}

int main(int argc, char **argv)
{
    pthread_t threads[N];
    stress_begin(argc, argv, 300);
    uint32_t state = stress_random(N);
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (;;) {
        wait_for_all(&arrived);
        __atomic_store_n(&arrived, 0, __ATOMIC_RELEASE);
        if (stress_over())
            __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
        int last = stop;
        open_gate(&state);
        if (last)
            break;
        wait_for_all(&finished);
        __atomic_store_n(&finished, 0, __ATOMIC_RELEASE);
        CHECK(futex(&finished, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) >= 0);
    }
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(gate >= 1); /* a starved run ends with the first */
    puts("every generation reached all");
    return 0;
}
