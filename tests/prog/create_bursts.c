/* create_bursts.c: bursts of threads, made by several threads at once, with stacks of several sizes, and processes forked in the
 * middle of them that make bursts of their own. Each thread finds its stack, its thread-local data and glibc's descriptor as
 * they have to be, and leaves them otherwise. */
#include "check.h"
#include <sys/wait.h>

#define MAKERS 3
#define ROUNDS 4
#define BURST 300

static __thread char zeroes[1024];
static __thread long value = 7;
static long begun;

struct burst {
    pthread_mutex_t lock;
    pthread_cond_t all_here, leave;
    int here, wanted, leaving;
};

static void *lives(void *arg)
{
    struct burst *b = arg;
    volatile char frames[3000];
    CHECK(value == 7);
    for (size_t i = 0; i < sizeof zeroes; i++)
        CHECK(zeroes[i] == 0);
    value = 8;
    memset(zeroes, 0xaa, sizeof zeroes);
    memset((char *)frames, 0xbb, sizeof frames);
    CHECK0(pthread_mutex_lock(&b->lock));
    if (++b->here == b->wanted)
        CHECK0(pthread_cond_signal(&b->all_here));
    while (!b->leaving)
        CHECK0(pthread_cond_wait(&b->leave, &b->lock));
    CHECK0(pthread_mutex_unlock(&b->lock));
    CHECK(frames[0] == (char)0xbb && value == 8);
    __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
    return arg;
}

/* After thread forks_at it forks; < 0: never. */
static void make_burst(size_t stack, int n, int forks_at);

static void fork_and_burst(size_t stack)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        make_burst(stack, 40, -1);
        make_burst(stack * 2, 40, -1);
        _exit(17);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
}

static void make_burst(size_t stack, int n, int forks_at)
{
    struct burst b = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, n, 0 };
    pthread_t threads[BURST];
    pthread_attr_t attr;
    CHECK0(pthread_attr_init(&attr));
    CHECK0(pthread_attr_setstacksize(&attr, stack));
    for (int i = 0; i < n; i++) {
        CHECK0(pthread_create(&threads[i], &attr, lives, &b));
        if (i == forks_at)
            fork_and_burst(stack);
    }
    CHECK0(pthread_mutex_lock(&b.lock));
    while (b.here < n)
        CHECK0(pthread_cond_wait(&b.all_here, &b.lock));
    b.leaving = 1;
    CHECK0(pthread_cond_broadcast(&b.leave));
    CHECK0(pthread_mutex_unlock(&b.lock));
    for (int i = 0; i < n; i++)
        CHECK(join(threads[i]) == &b);
    CHECK0(pthread_attr_destroy(&attr));
}

static void *maker(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg * 7919;
    for (int round = 0; round < ROUNDS; round++) {
        size_t stack = (64u << 10) << random_next(&state) % 6;
        make_burst(stack, BURST, (int)(random_next(&state) % BURST));
    }
    return NULL;
}

int main(void)
{
    pthread_t makers[MAKERS];
    /* By one thread, and of another size each time, so that no stack was in use before. */
    for (int round = 0; round < ROUNDS; round++)
        make_burst((8u << 20) >> round, BURST, BURST / 2 + round);
    for (uintptr_t i = 0; i < MAKERS; i++)
        makers[i] = start(maker, (void *)(i + 1));
    for (int i = 0; i < MAKERS; i++)
        join(makers[i]);
    CHECK(begun == (MAKERS + 1) * ROUNDS * BURST);
    puts("every thread found what it should");
    return 0;
}
