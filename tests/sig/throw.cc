// throw.cc: C++ exceptions out of handlers, of faults and of signals to a thread in a system call; backtraces through them.
#include "check.h"
#include <csignal>
#include <execinfo.h>
#include <poll.h>
#include <stdexcept>
#include <string>

static volatile int frames_found;
static int *volatile bad = (int *)16;

static void thrower(int sig)
{
    throw std::runtime_error(sig == SIGSEGV ? "segv" : "usr1");
}

static void tracer(int)
{
    void *pc[64];
    frames_found = backtrace(pc, 64);
}

__attribute__((noinline)) static int read_bad(volatile int *p)
{
    return *p;
}

static void *thread(void *)
{
    struct Noisy {
        ~Noisy() { puts("destroyed"); }
    };
    sigset_t s;
    for (int i = 0; i < 3; i++)
        try {
            Noisy n;
            printf("%d\n", read_bad(bad));
        } catch (std::exception &e) {
            printf("caught %s\n", e.what());
            sigemptyset(&s);
            sigaddset(&s, SIGSEGV);
            pthread_sigmask(SIG_UNBLOCK, &s, NULL);
        }
    raise(SIGUSR2);
    printf("frames %d\n", frames_found > 4);
    return NULL;
}

static volatile int there;

static void *sleeper(void *)
{
    there = 1;
    poll(NULL, 0, 20000); /* until the signal */
    return NULL;
}

int main()
{
    void *warm[4];
    backtrace(warm, 4);
    signal(SIGSEGV, thrower);
    signal(SIGUSR2, tracer);
    join(start(thread, NULL));
    pthread_t t = start(sleeper, NULL);
    while (!there)
        usleep(1000);
    usleep(100000);
    frames_found = 0;
    pthread_kill(t, SIGUSR2);
    join(t);
    printf("frames in poll %d\n", frames_found > 4);
    thread(NULL);
}
