/* unwired.c: threads that all ask for no_new_privs and have a timer of their CPU time each share kernel threads, as /proc/thread-self
 * tells; natively each is one. */
#include "check.h"
#include <signal.h>
#include <sys/prctl.h>

#define N 32

static pthread_barrier_t barrier;
static char seen[N + 1][64];

static void *worker(void *arg)
{
    intptr_t i = (intptr_t)arg;
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
    struct itimerspec s = { .it_value = { 1000, 0 } };
    clockid_t own;
    timer_t t;
    CHECK0(pthread_getcpuclockid(pthread_self(), &own));
    CHECK(timer_create(own, &ev, &t) == 0);
    CHECK(timer_settime(t, 0, &s, NULL) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    pthread_barrier_wait(&barrier);
    for (int n = 0; n < 20; n++)
        pthread_barrier_wait(&barrier);
    CHECK(readlink("/proc/thread-self", seen[i], sizeof seen[i] - 1) > 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    pthread_barrier_wait(&barrier);
    CHECK(timer_delete(t) == 0);
    return arg;
}

int main(void)
{
    pthread_t t[N];
    int distinct = 0;
    CHECK0(pthread_barrier_init(&barrier, NULL, N + 1));
    for (intptr_t i = 0; i < N; i++)
        t[i] = start(worker, (void *)i);
    worker((void *)N);
    for (int i = 0; i < N; i++)
        join(t[i]);
    for (int i = 0; i <= N; i++) {
        int first = 1;
        for (int j = 0; j < i; j++)
            first &= strcmp(seen[i], seen[j]) != 0;
        distinct += first;
    }
    printf("%s\n", distinct <= N / 2 ? "kernel threads are shared" : "each has its own");
    return 0;
}
