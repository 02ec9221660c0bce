/* malloc_storm.c: many threads allocate, fill, hand over and free blocks of all sizes. */
#include "check.h"
#include <malloc.h>

#define N 20
#define ROUNDS 2000
#define SLOTS 64

static unsigned char *slots[SLOTS]; /* blocks go from one thread to another through these */

static unsigned char *make(uint32_t *state)
{
    size_t size = 16 + random_next(state) % (random_next(state) % 50 == 0 ? 300000 : 2000);
    unsigned char *block = malloc(size);
    CHECK(block != NULL && malloc_usable_size(block) >= size);
    memcpy(block, &size, sizeof size);
    for (size_t i = sizeof size; i < size; i += 61)
        block[i] = (unsigned char)(size + i);
    return block;
}

static void check_and_free(unsigned char *block)
{
    size_t size;
    if (block == NULL)
        return;
    memcpy(&size, block, sizeof size);
    for (size_t i = sizeof size; i < size; i += 61)
        CHECK(block[i] == (unsigned char)(size + i));
    free(block);
}

static void *worker(void *arg)
{
    uint32_t state = (uint32_t)(intptr_t)arg * 7919 + 1;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char *block = make(&state);
        check_and_free(__atomic_exchange_n(&slots[random_next(&state) % SLOTS], block, __ATOMIC_ACQ_REL));
        if (i % 32 == 0)
            sched_yield();
        if (i % 500 == 0)
            malloc_trim(0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    for (int i = 0; i < SLOTS; i++)
        check_and_free(slots[i]);
    puts("blocks whole");
    return 0;
}
