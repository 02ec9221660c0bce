/* stress_cancel.c: threads are cancelled, or get signals, at random moments of their waits; locks and counts stay right. */
#include "stress.h"
#include <semaphore.h>
#include <signal.h>

#define N 12

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static volatile int holders;
static int cleaned, handled;

static void handler(int sig)
{
    CHECK(sig == SIGUSR1);
    __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void leave(void *arg)
{
    (void)arg;
    CHECK(++holders == 1); /* the lock must be ours here */
    holders--;
    CHECK0(pthread_mutex_unlock(&lock));
    __atomic_add_fetch(&cleaned, 1, __ATOMIC_SEQ_CST);
}

static void wait_once(uint32_t *state)
{
    struct timespec when = deadline(CLOCK_REALTIME, random_next(state) % 3);
    int timed = random_next(state) % 2;
    CHECK0(pthread_mutex_lock(&lock));
    pthread_cleanup_push(leave, NULL);
    CHECK(holders == 0);
    if (timed)
        pthread_cond_timedwait(&cond, &lock, &when);
    else
        pthread_cond_wait(&cond, &lock);
    CHECK(holders == 0);
    pthread_cleanup_pop(1);
    if (timed)
        sem_timedwait(&sem, &when);
}

static void *victim(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg;
    for (;;) {
        wait_once(&state);
        stress_pause(&state);
    }
    return NULL;
}

/* Not before each has happened, however little runs in that time. */
static int over(void)
{
    return stress_over() && __atomic_load_n(&cleaned, __ATOMIC_SEQ_CST) && __atomic_load_n(&handled, __ATOMIC_SEQ_CST);
}

static void *hunter(void *arg)
{
    uint32_t state = stress_random((int)(intptr_t)arg);
    while (!over()) {
        pthread_t thread = start(victim, (void *)(uintptr_t)(random_next(&state) | 1));
        for (uint32_t i = random_next(&state) % 8; i > 0; i--) {
            stress_pause(&state);
            if (random_next(&state) % 2)
                CHECK0(pthread_cond_broadcast(&cond));
            else
                CHECK0(pthread_kill(thread, SIGUSR1));
        }
        CHECK0(pthread_cancel(thread));
        CHECK(join(thread) == PTHREAD_CANCELED);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[N];
    struct sigaction action;
    stress_begin(argc, argv, 300);
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(sem_init(&sem, 0, 0) == 0);
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(hunter, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    CHECK0(pthread_mutex_lock(&lock));
    CHECK0(pthread_mutex_unlock(&lock));
    CHECK(cleaned > 0 && handled > 0);
    puts("all cancelled");
    return 0;
}
