/* asleep.c: signals of another process meet a thread on its way into a long sleep, at every moment: each wakes it. */
#include "check.h"
#include <signal.h>
#include <sys/wait.h>

#define N 30000

static int acks[2];
static volatile sig_atomic_t hits;

static void handler(int sig)
{
    (void)sig;
    hits++;
    CHECK(write(acks[1], "", 1) == 1);
}

static void *nothing(void *arg)
{
    return arg;
}

/* The next signal comes 0 to 20 µs after the answer to the last one. */
static void sender(pid_t to)
{
    char byte;
    uint32_t state = 17;
    for (int i = 0; i < N; i++) {
        CHECK(kill(to, SIGUSR1) == 0);
        CHECK(read(acks[0], &byte, 1) == 1);
        int64_t until = now_ns(CLOCK_MONOTONIC) + random_next(&state) % 20000;
        while (now_ns(CLOCK_MONOTONIC) < until)
            ;
    }
    _exit(0);
}

int main(void)
{
    int status;
    pid_t receiver = getpid(), child;
    CHECK(pipe(acks) == 0);
    signal(SIGUSR1, handler);
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        sender(receiver);
    join(start(nothing, NULL));
    alarm(100); /* ends the program if one is lost */
    while (hits < N) {
        struct timespec ts = { 1000, 0 };
        nanosleep(&ts, NULL);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    printf("%d signals\n", N);
    return 0;
}
