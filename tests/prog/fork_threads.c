/* fork_threads.c: fork from a thread while the others run; the child has that thread alone and can make new ones. */
#include "check.h"
#include <sys/wait.h>

#define CHILDREN 10

static volatile int stop;
static __thread int number = 5;
static int atfork_calls;

static void count_atfork(void)
{
    atfork_calls++;
}

static void *spins(void *arg)
{
    while (!stop)
        ;
    return arg;
}

static void *allocates(void *arg)
{
    while (!stop) {
        free(malloc(1000));
        sched_yield();
    }
    return arg;
}

static void *child_thread(void *arg)
{
    sleep_ms(1);
    CHECK(number == 5);
    return arg;
}

static void *forks(void *arg)
{
    pid_t parent = getpid(), tid = gettid();
    for (int i = 0; i < CHILDREN; i++) {
        number = 100 + i;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(getppid() == parent && getpid() != parent && gettid() == getpid() && number == 100 + i);
            pthread_t threads[8];
            for (intptr_t t = 0; t < 8; t++)
                threads[t] = start(child_thread, (void *)t);
            for (intptr_t t = 0; t < 8; t++)
                CHECK(join(threads[t]) == (void *)t);
            _exit(atfork_calls + i);
        }
        CHECK(gettid() == tid);
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1 + i);
    }
    return arg;
}

/* The child of a single-threaded process that has had threads: its thread ends, and exit runs the handlers. */
static void child_ends_by_pthread_exit(void)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        pthread_exit(NULL);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    pthread_t threads[4];
    CHECK0(pthread_atfork(NULL, NULL, count_atfork));
    threads[0] = start(spins, NULL);
    threads[1] = start(allocates, NULL);
    threads[2] = start(allocates, NULL);
    threads[3] = start(forks, NULL);
    join(threads[3]);
    stop = 1;
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    child_ends_by_pthread_exit();
    puts("children made threads");
    return 0;
}
