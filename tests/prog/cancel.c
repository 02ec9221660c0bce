/* cancel.c: pthread_cancel of a thread that waits in any cancellation point; cleanup handlers run, locks are as promised. */
#include "check.h"
#include <stdatomic.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/socket.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int fds[2];
static pthread_t long_thread;
static atomic_int requested;
static int cleaned;
static pthread_barrier_t entered;

static void clean(void *arg)
{
    cleaned = *(int *)arg;
}

static void unlock(void *arg)
{
    CHECK0(pthread_mutex_unlock(arg)); /* an error-checking mutex would say if it were not ours */
}

static void in_nanosleep(void)
{
    sleep_ms(60000);
}

static void in_sem_wait(void)
{
    sem_wait(&sem);
}

static void in_sem_timedwait(void)
{
    struct timespec when = deadline(CLOCK_REALTIME, 60000);
    sem_timedwait(&sem, &when);
}

static void in_cond_wait(void)
{
    CHECK0(pthread_mutex_lock(&lock));
    pthread_cleanup_push(unlock, &lock);
    for (;;)
        pthread_cond_wait(&cond, &lock);
    pthread_cleanup_pop(1);
}

static void in_cond_timedwait(void)
{
    struct timespec when = deadline(CLOCK_REALTIME, 60000);
    CHECK0(pthread_mutex_lock(&lock));
    pthread_cleanup_push(unlock, &lock);
    pthread_cond_timedwait(&cond, &lock, &when);
    pthread_cleanup_pop(1);
}

static void in_read(void)
{
    char c;
    CHECK(read(fds[0], &c, 1) == 1);
}

static void in_recv(void)
{
    char c;
    CHECK(recv(fds[0], &c, 1, 0) == 1);
}

static void in_poll(void)
{
    struct pollfd pfd = {fds[0], POLLIN, 0};
    poll(&pfd, 1, -1);
}

static void in_pause(void)
{
    pause();
}

static void in_join(void)
{
    pthread_join(long_thread, NULL);
}

static void by_testcancel(void)
{
    for (;;) {
        pthread_testcancel();
        sched_yield();
    }
}

static void while_disabled(void)
{
    int old;
    CHECK0(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
    do /* the request comes about now and must wait */
        sleep_ms(1);
    while (!requested);
    CHECK0(pthread_setcancelstate(old, NULL));
    pthread_testcancel();
}

static void asynchronous(void)
{
    volatile int forever = 1;
    CHECK0(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
    while (forever)
        ;
}

static void *worker(void *arg)
{
    int value = 1;
    pthread_barrier_wait(&entered);
    pthread_cleanup_push(clean, &value);
    ((void (*)(void))arg)();
    CHECK(!"came back from its wait");
    pthread_cleanup_pop(0);
    return NULL;
}

static void run(const char *name, void (*fn)(void), int wait_ms)
{
    cleaned = 0;
    requested = 0;
    pthread_t thread = start(worker, (void *)fn);
    pthread_barrier_wait(&entered);
    sleep_ms(wait_ms);
    CHECK0(pthread_cancel(thread));
    requested = 1;
    CHECK(join(thread) == PTHREAD_CANCELED);
    CHECK(cleaned == 1);
    CHECK0(pthread_mutex_lock(&lock));
    CHECK0(pthread_mutex_unlock(&lock));
    if (wait_ms)
        printf("%s\n", name);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } cases[] = {
        {"nanosleep", in_nanosleep}, {"sem_wait", in_sem_wait},   {"sem_timedwait", in_sem_timedwait},
        {"cond_wait", in_cond_wait}, {"cond_timedwait", in_cond_timedwait},
        {"read", in_read},           {"recv", in_recv},           {"poll", in_poll},
        {"pause", in_pause},         {"join", in_join},           {"testcancel", by_testcancel},
        {"disabled", while_disabled}, {"asynchronous", asynchronous},
    };
    CHECK(sem_init(&sem, 0, 0) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK0(pthread_barrier_init(&entered, NULL, 2));
    long_thread = start(worker, (void *)in_nanosleep);
    pthread_barrier_wait(&entered);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int wait_ms = 0; wait_ms <= 3; wait_ms += 3)
            run(cases[i].name, cases[i].fn, wait_ms);
    CHECK0(pthread_cancel(long_thread));
    CHECK(join(long_thread) == PTHREAD_CANCELED);
    return 0;
}
