/* fenv.c: rounding mode, exception flags and x87 control belong to each thread and survive switches. */
#include "check.h"
#include <fenv.h>

#define N 8

static const int modes[4] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};

static unsigned short x87_control(void)
{
    unsigned short word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static void *worker(void *arg)
{
    int mode = modes[(intptr_t)arg % 4];
    volatile double one = 1, three = 3;
    CHECK(fegetround() == FE_TONEAREST); /* a new thread has its creator's: main's, which is the default */
    CHECK(fesetround(mode) == 0);
    double quotient = one / three, minus = -one / three;
    unsigned short control = x87_control();
    for (int i = 0; i < 500; i++) {
        sched_yield();
        CHECK(fegetround() == mode);
        CHECK(x87_control() == control);
        CHECK(one / three == quotient && -one / three == minus);
    }
    CHECK((quotient > -minus) == (mode == FE_UPWARD));
    CHECK((quotient < -minus) == (mode == FE_DOWNWARD));
    return NULL;
}

static void *inherits(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)fegetround();
}

/* Control bits set by hand: x87 precision, and SSE flush-to-zero. */
static void *control_words(void *arg)
{
    unsigned short x87 = (intptr_t)arg % 2 ? 0x27f : 0x07f; /* double or single precision */
    unsigned mxcsr = (intptr_t)arg % 2 ? 0x1f80 | 1 << 15 : 0x1f80, seen;
    __asm__ volatile("fldcw %0" ::"m"(x87));
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
    const struct timespec nap = {0, 1000};
    for (int i = 0; i < 200; i++) {
        if (i % 20 == 0)
            nanosleep(&nap, NULL);
        else
            sched_yield();
        __asm__ volatile("stmxcsr %0" : "=m"(seen));
        CHECK(x87_control() == x87 && (seen & ~0x3fu) == mxcsr);
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
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(control_words, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK(fegetround() == FE_TONEAREST && x87_control() == 0x37f);

    CHECK(fesetround(FE_UPWARD) == 0);
    CHECK((int)(intptr_t)join(start(inherits, NULL)) == FE_UPWARD);
    CHECK(fesetround(FE_TONEAREST) == 0);
    puts("each thread rounded its own way");
    return 0;
}
