/* to_main.c: a signal for the process goes to the main thread if that does not block it, however busy the others are with
 * system calls. Programs rely on it whose main thread waits and whose handler only sets a flag. */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { THREADS = 3, SIGNALS = 300 };

static volatile sig_atomic_t in_main, elsewhere;
static _Atomic int stop;
static pthread_t main_thread;

static void handler(int sig)
{
    (void)sig;
    if (pthread_equal(pthread_self(), main_thread))
        in_main++;
    else
        elsewhere++;
}

/* Every other call blocks for a moment, so that kernel threads are woken and put to sleep. */
static void *busy(void *arg)
{
    int p[2];
    char c = 'x';
    (void)arg;
    CHECK(pipe(p) == 0);
    for (int i = 0; !stop; i++) {
        CHECK(write(p[1], &c, 1) == 1);
        CHECK(read(p[0], &c, 1) == 1);
        if (i % 64 == 0)
            usleep(50);
    }
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    int ask[2];
    char c;
    main_thread = pthread_self();
    signal(SIGUSR1, handler);
    CHECK(pipe(ask) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ask[1]);
        while (read(ask[0], &c, 1) == 1 && c == 'k') {
            usleep(200);
            kill(getppid(), SIGUSR1);
        }
        _exit(0);
    }
    for (int i = 0; i < THREADS; i++)
        t[i] = start(busy, NULL);
    for (int i = 0; i < SIGNALS; i++) {
        /* A flag that the handler sets may come before the poll, natively too: then it need not end. */
        int before = in_main + elsewhere;
        CHECK(write(ask[1], "k", 1) == 1);
        for (int waited = 0; in_main + elsewhere == before && waited < 500; waited++)
            poll(NULL, 0, 20);
        CHECK(in_main + elsewhere == before + 1);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        join(t[i]);
    close(ask[1]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    /* The kernel itself gives one to another thread now and then, when it finds the main one stopped for a signal already. */
    CHECK(elsewhere <= SIGNALS / 20);
    printf("%d signals, nearly all to the main thread\n", (int)(in_main + elsewhere));
    return 0;
}
