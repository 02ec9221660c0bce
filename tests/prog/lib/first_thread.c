/* first_thread.c: a library for LD_PRELOAD that gives any program a second thread, which waits for ever. So a program that
 * makes none, and the children that it forks, runs under preloom from its first instruction on. */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *wait_for_ever(void *arg)
{
    static int word;
    for (;;)
        syscall(SYS_futex, &word, 128 /* FUTEX_WAIT_PRIVATE */, 0, NULL, NULL, 0);
    return arg;
}

__attribute__((constructor)) static void make_thread(void)
{
    sigset_t all, old;
    pthread_t t;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* the program's signals are not for this thread */
    pthread_create(&t, NULL, wait_for_ever, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
