/* sleep_watched.c: a thread that an event wakes and that then computes does not keep another one asleep beyond its time:
 * with a CPU to spare or without, in whichever order they fell asleep.
 */
#include "check.h"
#include <sys/wait.h>

#define ROUNDS 4

static int ends[2];
static _Atomic int slept;

static void *sleeper(void *arg)
{
    usleep(100000);
    slept = 1;
    return arg;
}

/* Ten seconds are for ever here. */
static void *computes(void *arg)
{
    char c;
    CHECK(read(ends[0], &c, 1) == 1);
    int64_t end = now_ns(CLOCK_MONOTONIC) + 10 * NSEC_PER_SEC;
    while (!slept && now_ns(CLOCK_MONOTONIC) < end)
        ;
    CHECK(slept);
    return arg;
}

int main(void)
{
    CHECK(pipe(ends) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t a, b;
        slept = 0;
        a = start(i % 2 ? sleeper : computes, NULL);
        usleep(1000);
        b = start(i % 2 ? computes : sleeper, NULL);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            usleep(20000);
            _exit(write(ends[1], "x", 1) != 1);
        }
        join(a);
        join(b);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    puts("slept");
    return 0;
}
