/* robust_exec.c: a process that execs while its threads hold robust mutexes shared with another process: the other one is told
 * EOWNERDEAD while the new program runs; an exec that fails leaves them locked. */
#include "check.h"
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define OWNERS 3 /* the first is the main thread */

static struct shared {
    pthread_mutex_t held[OWNERS];
    sem_t failed, ready;
} *s;
static sem_t holding;

static void init_mutex(pthread_mutex_t *m)
{
    pthread_mutexattr_t a;
    CHECK0(pthread_mutexattr_init(&a));
    CHECK0(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
    CHECK0(pthread_mutex_init(m, &a));
}

static void *hold(void *arg)
{
    CHECK0(pthread_mutex_lock(arg));
    CHECK(sem_post(&holding) == 0);
    for (;;)
        pause();
    return NULL;
}

static void *exec_here(void *arg)
{
    char *argv[] = {"sleep", "100", NULL};
    (void)arg;
    for (int i = 0; i < OWNERS; i++)
        CHECK(sem_wait(&holding) == 0);
    CHECK_ERRNO(execv("/nonexistent/program", argv), ENOENT);
    CHECK_ERRNO(execv("/", argv), EACCES);
    CHECK(sem_post(&s->failed) == 0);
    CHECK(sem_wait(&s->ready) == 0);
    execv("/bin/sleep", argv);
    _exit(99);
}

static void child(void)
{
    CHECK(sem_init(&holding, 0, 0) == 0);
    for (int i = 1; i < OWNERS; i++)
        start(hold, &s->held[i]);
    start(exec_here, NULL);
    hold(&s->held[0]);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *waiter(void *arg)
{
    struct timespec limit = deadline(CLOCK_REALTIME, 60000);
    int err = pthread_mutex_timedlock(arg, &limit);
    CHECK(err == EOWNERDEAD);
    CHECK0(pthread_mutex_consistent(arg));
    CHECK0(pthread_mutex_unlock(arg));
    return NULL;
}

static void once(void)
{
    pthread_t t[OWNERS];
    int status;
    for (int i = 0; i < OWNERS; i++)
        init_mutex(&s->held[i]);
    CHECK(sem_init(&s->failed, 1, 0) == 0 && sem_init(&s->ready, 1, 0) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child();
    CHECK(sem_wait(&s->failed) == 0);
    for (int i = 0; i < OWNERS; i++)
        CHECK(pthread_mutex_trylock(&s->held[i]) == EBUSY);
    for (int i = 0; i < OWNERS; i++)
        t[i] = start(waiter, &s->held[i]);
    sleep_ms(20);
    CHECK(sem_post(&s->ready) == 0);
    for (int i = 0; i < OWNERS; i++)
        join(t[i]);
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

int main(void)
{
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(s != MAP_FAILED);
    join(start(nothing, NULL));
    for (int i = 0; i < 5; i++)
        once();
    puts("owners died by exec");
    return 0;
}
