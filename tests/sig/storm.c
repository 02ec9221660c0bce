/* storm.c: threads send each other real-time signals while they compute, sleep, lock and are pre-empted; none is lost.
 */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>

#define THREADS 6
#define EACH 3000

static atomic_int received[THREADS];
static pthread_barrier_t all_ready;
static _Thread_local int self = -1;
static pthread_t threads[THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int wrong;

static void handler(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)uc;
    if (info->si_value.sival_int != self)
        wrong++;
    received[self]++;
}

static void *run(void *arg)
{
    self = (int)(intptr_t)arg;
    unsigned seed = (unsigned)self + 1;
    double x = self;
    pthread_barrier_wait(&all_ready);
    for (int i = 0; i < EACH; i++) {
        union sigval v = {.sival_int = (self + 1) % THREADS};
        int err;
        while ((err = pthread_sigqueue(threads[v.sival_int], SIGRTMIN, v)) == EAGAIN)
            sched_yield();
        CHECK(err == 0);
        double before = x;
        switch (rand_r(&seed) % 5) {
        case 0:
            pthread_mutex_lock(&lock);
            pthread_mutex_unlock(&lock);
            break;
        case 1:
            if (i % 16 == 0)
                usleep(50);
            break;
        case 2:
            for (int k = 0; k < 300; k++)
                x = x * 1.0000001 + 1;
            x = before;
            break;
        case 3:
            free(malloc(100 + rand_r(&seed) % 3000));
            break;
        default:
            sched_yield();
        }
    }
    while (received[self] < EACH)
        usleep(500);
    CHECK(x == self);
    return NULL;
}

int main(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGRTMIN, &sa, NULL);
    CHECK0(pthread_barrier_init(&all_ready, NULL, THREADS + 1));
    for (intptr_t i = 0; i < THREADS; i++)
        threads[i] = start(run, (void *)i);
    pthread_barrier_wait(&all_ready);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    for (int i = 0; i < THREADS; i++)
        printf("%d ", received[i]);
    printf("wrong %d\n", wrong);
    return 0;
}
