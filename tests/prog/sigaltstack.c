/* sigaltstack.c: an alternate signal stack per thread: handlers run on their own thread's, and catch its stack overflow. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>

#define N 8
#define SIZE (64 << 10)

static __thread char *alternate;
static __thread int on_alternate;
static __thread sigjmp_buf back;

static int inside(const void *p)
{
    return (const char *)p >= alternate && (const char *)p < alternate + SIZE;
}

static void on_usr1(int sig)
{
    stack_t now;
    CHECK(sig == SIGUSR1 && sigaltstack(NULL, &now) == 0);
    CHECK(now.ss_sp == alternate && now.ss_flags == SS_ONSTACK);
    on_alternate += inside(__builtin_frame_address(0));
}

static void on_segv(int sig)
{
    CHECK(sig == SIGSEGV && inside(__builtin_frame_address(0)));
    siglongjmp(back, 1);
}

static volatile int deeper = 1;

static __attribute__((noinline)) int overflow(void)
{
    volatile char frame[4096];
    frame[0] = 1;
    return (deeper ? overflow() : 0) + frame[0];
}

static void *worker(void *arg)
{
    alternate = malloc(SIZE);
    stack_t stack = {.ss_sp = alternate, .ss_size = SIZE}, old;
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
    CHECK(sigaltstack(&stack, NULL) == 0);
    for (int i = 0; i < 50; i++) {
        CHECK0(pthread_kill(pthread_self(), SIGUSR1));
        sched_yield();
    }
    CHECK(on_alternate == 50);

    for (int i = 0; i < 2; i++)
        if (sigsetjmp(back, 1) == 0)
            overflow();

    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, &old) == 0 && old.ss_sp == alternate && old.ss_size == SIZE);
    free(alternate);
    return arg;
}

int main(void)
{
    struct sigaction action;
    pthread_attr_t attr;
    pthread_t threads[N];
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = on_usr1;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action.sa_handler = on_segv;
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);

    CHECK0(pthread_attr_init(&attr));
    CHECK0(pthread_attr_setstacksize(&attr, 128 << 10));
    for (int i = 0; i < N; i++)
        CHECK0(pthread_create(&threads[i], &attr, worker, NULL));
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("handlers on their own stacks, overflow caught");
    return 0;
}
