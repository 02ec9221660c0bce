/* robust_exit.c: a process that ends while its threads hold robust mutexes shared with another process: the other one is told
 * EOWNERDEAD, however the process ended and whichever thread was the owner. */
#include "check.h"
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BUSY 8
#define ROUNDS 10

static struct shared {
    pthread_mutex_t held, waited, busy[BUSY];
    sem_t ready;
    volatile int *nowhere;
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
    (void)arg;
    CHECK0(pthread_mutex_lock(&s->held));
    CHECK0(pthread_mutex_lock(&s->waited));
    CHECK(sem_post(&s->ready) == 0);
    CHECK(sem_post(&holding) == 0);
    pause();
    return NULL;
}

static void *lock_and_unlock(void *arg)
{
    for (;;) {
        CHECK0(pthread_mutex_lock(arg));
        CHECK0(pthread_mutex_unlock(arg));
    }
    return NULL;
}

static void *end_here(void *arg)
{
    (void)arg;
    _exit(0);
    return NULL;
}

static void by_exit(void)
{
    exit(0);
}

static void by_thread(void)
{
    start(end_here, NULL);
    pause();
}

static void by_abort(void)
{
    abort();
}

static void by_signal(void)
{
    raise(SIGTERM);
}

static void by_kill(void)
{
    kill(getpid(), SIGKILL);
}

static void by_killing_group(void)
{
    CHECK(setpgid(0, 0) == 0);
    kill(0, SIGKILL);
}

static void by_killing_group_by_id(void)
{
    CHECK(setpgid(0, 0) == 0);
    kill(-getpgrp(), SIGKILL);
}

static void by_queue(void)
{
    sigqueue(getpid(), SIGKILL, (union sigval){.sival_int = 1});
}

static void by_pidfd(void)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    CHECK(fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, &info, 0) == -1 && errno == EINVAL);
    syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static void by_fault(void)
{
    *s->nowhere = 0;
}

static void child(void (*end)(void), int busy)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    CHECK(sem_init(&holding, 0, 0) == 0);
    start(hold, NULL);
    for (int i = 0; i < busy; i++)
        start(lock_and_unlock, &s->busy[i]);
    CHECK(sem_wait(&holding) == 0);
    sleep_ms(2);
    end();
    _exit(99);
}

static void *take_waited(void *arg)
{
    (void)arg;
    CHECK(pthread_mutex_lock(&s->waited) == EOWNERDEAD);
    CHECK0(pthread_mutex_consistent(&s->waited));
    CHECK0(pthread_mutex_unlock(&s->waited));
    return NULL;
}

static void run(const char *name, void (*end)(void), int busy)
{
    int status;
    init_mutex(&s->held);
    init_mutex(&s->waited);
    for (int i = 0; i < BUSY; i++)
        init_mutex(&s->busy[i]);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child(end, busy);
    CHECK(sem_wait(&s->ready) == 0);
    pthread_t waiter = start(take_waited, NULL);
    CHECK(waitpid(pid, &status, 0) == pid);
    join(waiter);
    CHECK(pthread_mutex_lock(&s->held) == EOWNERDEAD);
    CHECK0(pthread_mutex_consistent(&s->held));
    CHECK0(pthread_mutex_unlock(&s->held));
    for (int i = 0; i < busy; i++) {
        struct timespec end_of_patience = deadline(CLOCK_REALTIME, 10000);
        int err = pthread_mutex_timedlock(&s->busy[i], &end_of_patience);
        CHECK(err == 0 || err == EOWNERDEAD);
        if (err)
            CHECK0(pthread_mutex_consistent(&s->busy[i]));
        CHECK0(pthread_mutex_unlock(&s->busy[i]));
    }
    if (!busy)
        printf("%s: status %d, signal %d\n", name, WEXITSTATUS(status), WTERMSIG(status));
}

int main(void)
{
    static const struct {
        const char *name;
        void (*end)(void);
    } ends[] = {{"exit", by_exit}, {"_exit in a thread", by_thread}, {"abort", by_abort}, {"SIGTERM", by_signal}, {"SIGKILL", by_kill},
              {"SIGKILL to its group", by_killing_group}, {"the same by id", by_killing_group_by_id},
              {"SIGKILL by sigqueue", by_queue}, {"by pidfd", by_pidfd}, {"fault", by_fault}};
    setvbuf(stdout, NULL, _IONBF, 0);
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(sem_init(&s->ready, 1, 0) == 0);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        run(ends[i].name, ends[i].end, 0);
        for (int round = 0; round < ROUNDS; round++)
            run(ends[i].name, ends[i].end, 1 + round % BUSY);
    }
    return 0;
}
