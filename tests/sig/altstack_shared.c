/* altstack_shared.c: threads that all registered one alternate stack, as programs do whose only handler is for the end,
 * and compute. Nothing of theirs may ever lie on it: no handler runs. */
#include "check.h"
#include <signal.h>

enum { THREADS = 8, SIZE = 65536, MS = 300 };

static char *shared;

static void *thread(void *arg)
{
    stack_t st = {.ss_sp = shared, .ss_size = SIZE};
    unsigned long local[64], x = (unsigned long)(size_t)arg, sum = 0;
    int64_t end = now_ns(CLOCK_MONOTONIC) + MS * NSEC_PER_MSEC;
    CHECK(sigaltstack(&st, NULL) == 0);
    for (int i = 0; i < 64; i++)
        local[i] = x * 64 + (unsigned long)i;
    while (now_ns(CLOCK_MONOTONIC) < end)
        for (int k = 0; k < 10000; k++)
            __asm__ volatile("" : "+m"(local[k % 64]));
    for (int i = 0; i < 64; i++)
        sum += local[i];
    return (void *)(size_t)(sum == 64 * 64 * x + 63 * 64 / 2);
}

int main(void)
{
    pthread_t t[THREADS];
    int good = 0, clean = 1;
    shared = calloc(1, SIZE);
    for (int i = 0; i < THREADS; i++)
        t[i] = start(thread, (void *)(size_t)i);
    for (int i = 0; i < THREADS; i++)
        good += (int)(size_t)join(t[i]);
    for (int i = 0; i < SIZE; i++)
        clean &= shared[i] == 0;
    printf("%d threads, alternate stack untouched: %d\n", good, clean);
    return 0;
}
