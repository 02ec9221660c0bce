/* stack_reuse.c: stacks of many sizes made, dirtied and given back: a new thread's descriptor and TLS are always fresh. */
#include "check.h"

#define ROUNDS 300

static __thread char zeroes[4096];
static __thread long value = 99;
static pthread_key_t key;

static void *dirties(void *arg)
{
    size_t size = *(size_t *)arg;
    for (size_t i = 0; i < sizeof zeroes; i += 64)
        CHECK(zeroes[i] == 0);
    CHECK(value == 99 && pthread_getspecific(key) == NULL);
    value = -1;
    memset(zeroes, 0xff, sizeof zeroes);
    CHECK0(pthread_setspecific(key, arg));
    volatile char *area = __builtin_alloca(size / 2);
    memset((char *)area, 0xee, size / 2);
    if (size % 3 == 0)
        sched_yield();
    return (void *)(uintptr_t)(unsigned char)area[size / 4];
}

int main(void)
{
    uint32_t state = 12345;
    pthread_attr_t attr;
    CHECK0(pthread_key_create(&key, NULL));
    CHECK0(pthread_attr_init(&attr));
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t threads[4];
        size_t sizes[4];
        for (int t = 0; t < 4; t++) {
            sizes[t] = (64u << 10) + (random_next(&state) % 64) * 16384;
            CHECK0(pthread_attr_setstacksize(&attr, sizes[t]));
            CHECK0(pthread_create(&threads[t], &attr, dirties, &sizes[t]));
        }
        for (int t = 0; t < 4; t++)
            CHECK(join(threads[t]) == (void *)0xee);
    }
    puts("always fresh");
    return 0;
}
