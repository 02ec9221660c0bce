/* waits.c: sigsuspend, pause, sigtimedwait, ppoll and pselect with masks, sigwait in a thread for the whole process. */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/select.h>

static _Thread_local int handled;
static atomic_int waiting, ended;
static sigset_t usr1, none, term;

static void handler(int sig)
{
    handled += sig == SIGUSR1;
}

static int suspend(void)
{
    return sigsuspend(&none);
}

static int call_ppoll(void)
{
    struct timespec t = {10, 0};
    return ppoll(NULL, 0, &t, &none);
}

static int call_pselect(void)
{
    struct timespec t = {10, 0};
    return pselect(0, NULL, NULL, NULL, &t, &none);
}

static int call_sigtimedwait(void)
{
    struct timespec t = {10, 0};
    sigset_t old;
    pthread_sigmask(SIG_UNBLOCK, &usr1, &old);
    int r = sigtimedwait(&term, NULL, &t);
    int e = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = e;
    return r;
}

static int (*const calls[])(void) = {suspend, call_ppoll, call_pselect, call_sigtimedwait};
static const char *const names[] = {"sigsuspend", "ppoll", "pselect", "sigtimedwait"};

/* It may have sent more than one signal. */
static void let_main_go_on(void)
{
    struct timespec none_at_all = {0, 0};
    CHECK(handled >= 1);
    handled = 1;
    while (waiting != 0)
        usleep(1000);
    while (sigtimedwait(&usr1, NULL, &none_at_all) == SIGUSR1)
        ;
}

static void *caller(void *arg)
{
    sigset_t m;
    int i = (int)(intptr_t)arg;
    for (int pending = 0; pending < 2; pending++) {
        handled = 0;
        if (pending)
            raise(SIGUSR1);
        CHECK(handled == 0);
        waiting = 1 + pending;
        int r = calls[i](), e = errno;
        ended = 1 + pending;
        CHECK0(pthread_sigmask(SIG_BLOCK, NULL, &m));
        if (calls[i] == call_sigtimedwait && !pending)
            let_main_go_on();
        printf("%s: %d %s handled %d, mask restored %d\n", names[i], r, strerrorname_np(e), handled,
               sigismember(&m, SIGUSR1));
    }
    return NULL;
}

static void *server(void *arg)
{
    sigset_t s;
    int sig, n = 0;
    (void)arg;
    sigemptyset(&s);
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGHUP);
    do {
        CHECK(sigwait(&s, &sig) == 0);
        n++;
        waiting = 0;
    } while (sig != SIGTERM);
    printf("server: %d signals\n", n);
    return NULL;
}

static void *sleeper(void *arg)
{
    (void)arg;
    usleep(200000);
    return NULL;
}

int main(void)
{
    struct sigaction sa;
    sigset_t s;
    pthread_t t[2];
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler;
    sigaction(SIGUSR1, &sa, NULL);
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    s = usr1;
    sigaddset(&s, SIGTERM);
    sigaddset(&s, SIGHUP);
    CHECK0(pthread_sigmask(SIG_BLOCK, &s, NULL));
    for (intptr_t i = 0; i < 4; i++) {
        waiting = ended = 0;
        pthread_t c = start(caller, (void *)i);
        while (waiting == 0)
            usleep(1000);
        usleep(20000);
        CHECK0(pthread_kill(c, SIGUSR1));
        if (calls[i] == call_sigtimedwait) { /* the one may have come when the signal was let through, but before the wait */
            for (usleep(200000); !ended; usleep(200000))
                CHECK0(pthread_kill(c, SIGUSR1));
            waiting = 0;
        }
        join(c);
    }
    t[0] = start(sleeper, NULL);
    t[1] = start(server, NULL);
    for (int i = 0; i < 20; i++) {
        waiting = 1;
        kill(getpid(), SIGHUP);
        while (waiting)
            usleep(100);
    }
    kill(getpid(), SIGTERM);
    join(t[0]);
    join(t[1]);
    return 0;
}
