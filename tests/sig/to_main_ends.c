/* to_main_ends.c: a signal for the process goes to the main thread although others end just then: at its end a thread
 * blocks all signals, and must not hand on what it was not chosen for. */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { THREADS = 40, SIGNALS = 60 };

static volatile sig_atomic_t in_main, elsewhere;
static pthread_t main_thread;
static pthread_barrier_t ready;
static int gate[2];

static void handler(int sig)
{
    (void)sig;
    if (pthread_equal(pthread_self(), main_thread))
        in_main++;
    else
        elsewhere++;
}

static void *ender(void *arg)
{
    char c;
    pthread_barrier_wait(&ready);
    CHECK(read(gate[0], &c, 1) == 1);
    for (int64_t end = now_ns(CLOCK_MONOTONIC) + 200000; now_ns(CLOCK_MONOTONIC) < end;)
        getppid();
    return arg;
}

static void one(int ask)
{
    char bytes[THREADS] = {0};
    pthread_t t[THREADS];
    int before = in_main + elsewhere;
    for (int i = 0; i < THREADS; i++)
        t[i] = start(ender, NULL);
    pthread_barrier_wait(&ready);
    CHECK(write(ask, "k", 1) == 1);
    CHECK(write(gate[1], bytes, THREADS) == THREADS);
    for (int waited = 0; in_main + elsewhere == before && waited < 500; waited++)
        poll(NULL, 0, 20);
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
    CHECK(in_main + elsewhere == before + 1);
}

int main(void)
{
    int ask[2];
    char c;
    main_thread = pthread_self();
    signal(SIGUSR1, handler);
    CHECK(pipe(ask) == 0 && pipe(gate) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ask[1]);
        while (read(ask[0], &c, 1) == 1) {
            usleep(1000);
            kill(getppid(), SIGUSR1);
        }
        _exit(0);
    }
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    for (int i = 0; i < SIGNALS; i++)
        one(ask[1]);
    close(ask[1]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    printf("%d signals, %d elsewhere\n", (int)in_main, (int)elsewhere);
    return 0;
}
