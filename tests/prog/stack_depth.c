/* stack_depth.c: recursion to 7 MB of an 8 MB stack in threads, with switches on the way down and up. */
#include "check.h"
#include <setjmp.h>

#define N 4
#define FRAME 8192
#define DEPTH (7 * 1024 * 1024 / (FRAME + 128))

static int visit(int depth)
{
    volatile char frame[FRAME];
    memset((char *)frame, depth, sizeof frame);
    if (depth % 100 == 0)
        sched_yield();
    int below = depth > 0 ? visit(depth - 1) : 0;
    for (int i = 0; i < FRAME; i += 512)
        CHECK(frame[i] == (char)depth);
    return below + 1;
}

static void *worker(void *arg)
{
    CHECK(visit(DEPTH) == DEPTH + 1);
    CHECK(visit(DEPTH / 2) == DEPTH / 2 + 1);
    return arg;
}

/* longjmp back over many frames of one thread while others do the same. */
static volatile int jumping = 1;

static void jump_out(jmp_buf env, int depth)
{
    volatile char frame[1024];
    frame[0] = 1;
    if (depth > 0)
        jump_out(env, depth - 1);
    else if (jumping)
        longjmp(env, 17);
    frame[0]++;
}

static void *jumps(void *arg)
{
    for (int i = 0; i < 100; i++) {
        jmp_buf env;
        int code = setjmp(env);
        if (code == 0)
            jump_out(env, 50);
        CHECK(code == 17);
        sched_yield();
    }
    return arg;
}

int main(void)
{
    pthread_attr_t attr;
    pthread_t threads[2 * N];
    CHECK0(pthread_attr_init(&attr));
    CHECK0(pthread_attr_setstacksize(&attr, 8 << 20));
    for (int i = 0; i < 2 * N; i++)
        CHECK0(pthread_create(&threads[i], &attr, i % 2 ? worker : jumps, NULL));
    for (int i = 0; i < 2 * N; i++)
        join(threads[i]);
    printf("%d frames of %d bytes\n", DEPTH, FRAME);
    return 0;
}
