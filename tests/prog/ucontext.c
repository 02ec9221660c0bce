/* ucontext.c: a program's own contexts (swapcontext) inside threads, each thread with its own set. */
#include "check.h"
#include <ucontext.h>

#define N 6
#define CONTEXTS 4
#define ROUNDS 100

struct thread {
    ucontext_t home, contexts[CONTEXTS];
    char *stacks[CONTEXTS];
    int left;
    unsigned trace;
};

static __thread struct thread *mine;
static __thread int number;

static void context(int index)
{
    for (int i = 0; i < ROUNDS; i++) {
        int before = number;
        mine->trace = mine->trace * 31 + (unsigned)index;
        if (i % 8 == 0)
            sched_yield();
        CHECK(number == before);
        number++;
        CHECK(swapcontext(&mine->contexts[index], &mine->contexts[(index + 1) % CONTEXTS]) == 0);
    }
    if (--mine->left > 0)
        setcontext(&mine->contexts[(index + 1) % CONTEXTS]);
}

static void *worker(void *arg)
{
    mine = calloc(1, sizeof *mine);
    CHECK(mine != NULL);
    mine->left = CONTEXTS;
    for (int i = 0; i < CONTEXTS; i++) {
        ucontext_t *c = &mine->contexts[i];
        CHECK(getcontext(c) == 0);
        mine->stacks[i] = malloc(64 << 10);
        c->uc_stack.ss_sp = mine->stacks[i];
        c->uc_stack.ss_size = 64 << 10;
        c->uc_link = &mine->home;
        makecontext(c, (void (*)(void))context, 1, i);
    }
    CHECK(swapcontext(&mine->home, &mine->contexts[0]) == 0);
    CHECK(number == CONTEXTS * ROUNDS && mine->left == 0);
    unsigned trace = mine->trace;
    for (int i = 0; i < CONTEXTS; i++)
        free(mine->stacks[i]);
    free(mine);
    (void)arg;
    return (void *)(intptr_t)trace;
}

int main(void)
{
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(worker, NULL);
    intptr_t first = (intptr_t)join(threads[0]);
    for (int i = 1; i < N; i++)
        CHECK((intptr_t)join(threads[i]) == first);
    puts("contexts switched");
    return 0;
}
