/* stress_processes.c: forks, signals, cancellations and dlopen from many threads at once: no signal is lost or doubled, no child
 * hangs, every wait ends. */
#include "stress.h"
#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

#define N 8
#define QUEUED (SIGRTMIN + 1)

static struct worker {
    pthread_t thread;
    atomic_uint sent, got; /* QUEUED, to this thread */
    atomic_uint usr1;
} workers[N];
static _Thread_local struct worker *self;
static atomic_uint alarms;
static sem_t never;
static int silent[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t loading = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t senders_done;
static char plugin[4096];

static void on_queued(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == QUEUED && info->si_code == SI_QUEUE);
    CHECK(self == info->si_value.sival_ptr);
    atomic_fetch_add(&self->got, 1);
}

static void on_usr1(int sig)
{
    int saved = errno;
    CHECK(sig == SIGUSR1);
    if (self) /* else a thread that has just begun */
        atomic_fetch_add(&self->usr1, 1);
    sched_yield();
    errno = saved;
}

static void on_alarm(int sig)
{
    CHECK(sig == SIGALRM);
    atomic_fetch_add(&alarms, 1);
}

/* --- what a thread does --- */

static void *add_one(void *arg)
{
    return (char *)arg + 1;
}

/* In the child: signals to itself, and threads again. */
static void in_child(uint32_t r)
{
    sigset_t set, old;
    siginfo_t info;
    struct timespec limit = {20, 0};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, &old));
    CHECK(kill(getpid(), SIGUSR2) == 0);
    CHECK(sigtimedwait(&set, &info, &limit) == SIGUSR2);
    CHECK0(pthread_sigmask(SIG_SETMASK, &old, NULL));
    if (r % 2) {
        unsigned before = atomic_load(&self->usr1);
        CHECK(raise(SIGUSR1) == 0);
        CHECK(atomic_load(&self->usr1) == before + 1);
    }
    if (r % 4 == 0) {
        pthread_t t[3];
        for (int i = 0; i < 3; i++)
            t[i] = start(add_one, (void *)(intptr_t)i);
        for (int i = 0; i < 3; i++)
            CHECK(join(t[i]) == (void *)(intptr_t)(i + 1));
    }
    _exit((int)(r % 100));
}

static void wait_for(pid_t pid, int want)
{
    int status;
    while (waitpid(pid, &status, 0) != pid)
        CHECK(errno == EINTR);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == want);
}

/* glibc's fork does not wait for a dlopen that is going on: natively, children of such a fork may find a
 * broken heap when they make threads. */
static void do_fork(uint32_t r)
{
    CHECK0(pthread_rwlock_wrlock(&loading));
    pid_t pid = fork();
    CHECK0(pthread_rwlock_unlock(&loading));
    CHECK(pid >= 0);
    if (pid == 0)
        in_child(r);
    wait_for(pid, (int)(r % 100));
}

static void do_spawn(uint32_t r)
{
    char *argv[] = {"true", NULL}, *envp[] = {NULL};
    pid_t pid;
    (void)r;
    CHECK0(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp));
    wait_for(pid, 0);
}

static void do_queue(uint32_t r)
{
    struct worker *to = &workers[r % N];
    for (uint32_t i = 0; i < 1 + (r >> 8) % 20; i++) {
        atomic_fetch_add(&to->sent, 1);
        int err = pthread_sigqueue(to->thread, QUEUED, (union sigval){.sival_ptr = to});
        CHECK(err == 0 || err == EAGAIN);
        if (err)
            atomic_fetch_sub(&to->sent, 1);
    }
}

static void do_kill(uint32_t r)
{
    if (r & 0x100)
        CHECK0(pthread_kill(workers[r % N].thread, SIGUSR1));
    else
        CHECK(kill(getpid(), SIGUSR1) == 0);
}

static void unlock_it(void *arg)
{
    CHECK0(pthread_mutex_unlock(arg));
}

/* Nothing that these threads wait for comes. */
static void *waits(void *arg)
{
    char c;
    static struct worker nobody;
    self = &nobody;
    switch ((uintptr_t)arg % 5) {
    case 0:
        sleep(1000);
        break;
    case 1:
        if (read(silent[0], &c, 1) == 1)
            return NULL;
        break;
    case 2:
        sem_wait(&never);
        break;
    case 3:
        pthread_mutex_lock(&lock);
        pthread_cleanup_push(unlock_it, &lock);
        for (;;)
            pthread_cond_wait(&cond, &lock);
        pthread_cleanup_pop(1);
        break;
    case 4:
        for (;;)
            pthread_testcancel();
    }
    /* A signal of the process may have ended the wait. */
    for (;;)
        pause();
}

static void do_cancel(uint32_t r)
{
    pthread_t t = start(waits, (void *)(uintptr_t)(r % 5));
    uint32_t state = r;
    stress_pause(&state);
    CHECK0(pthread_cancel(t));
    CHECK(join(t) == PTHREAD_CANCELED);
}

static void do_dlopen(uint32_t r)
{
    CHECK0(pthread_rwlock_rdlock(&loading));
    void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    CHECK(handle != NULL);
    long (*count)(void) = (long (*)(void))dlsym(handle, "plugin_count");
    long (*nap)(long) = (long (*)(long))dlsym(handle, "plugin_sleep");
    CHECK(count != NULL && nap != NULL);
    long first = count();
    nap((long)(r % 1000));
    CHECK(count() == first + 1);
    CHECK(dlclose(handle) == 0);
    CHECK0(pthread_rwlock_unlock(&loading));
}

static void do_wait_for_own(uint32_t r)
{
    sigset_t set, old;
    siginfo_t info;
    struct timespec limit = {20, 0};
    int sig = SIGRTMIN + 2 + (int)(r % 3);
    sigemptyset(&set);
    sigaddset(&set, sig);
    CHECK0(pthread_sigmask(SIG_BLOCK, &set, &old));
    CHECK0(pthread_sigqueue(pthread_self(), sig, (union sigval){.sival_int = (int)(r >> 1)}));
    int got;
    while ((got = sigtimedwait(&set, &info, &limit)) < 0)
        CHECK(errno == EINTR);
    CHECK(got == sig && info.si_value.sival_int == (int)(r >> 1));
    CHECK0(pthread_sigmask(SIG_SETMASK, &old, NULL));
}

static void *work(void *arg)
{
    static void (*const actions[])(uint32_t) = {do_fork, do_spawn, do_queue, do_queue, do_kill, do_cancel, do_dlopen, do_wait_for_own};
    uint32_t state = stress_random((int)(intptr_t)arg);
    self = &workers[(intptr_t)arg];
    self->thread = pthread_self();
    pthread_barrier_wait(&senders_done); /* everybody is there */
    while (!stress_over() || !atomic_load(&alarms)) {
        uint32_t r = random_next(&state);
        actions[r % 8](r >> 3);
        stress_pause(&state);
    }
    pthread_barrier_wait(&senders_done);
    int64_t end = now_ns(CLOCK_MONOTONIC) + 30 * NSEC_PER_SEC;
    while (atomic_load(&self->got) != atomic_load(&self->sent) && now_ns(CLOCK_MONOTONIC) < end)
        sched_yield();
    CHECK(atomic_load(&self->got) == atomic_load(&self->sent));
    pthread_barrier_wait(&senders_done);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t t[N];
    struct worker nobody = {0};
    struct itimerval every = {{0, 3000}, {0, 3000}};
    struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction usr1 = {.sa_handler = on_usr1, .sa_flags = SA_RESTART}, alrm = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    stress_begin(argc, argv, 1000);
    char *slash = strrchr(argv[0], '/');
    snprintf(plugin, sizeof plugin, "%.*s/lib/plugin.so", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
    self = &nobody;
    CHECK(sem_init(&never, 0, 0) == 0 && pipe(silent) == 0);
    sigaction(QUEUED, &queued, NULL);
    sigaction(SIGUSR1, &usr1, NULL);
    sigaction(SIGALRM, &alrm, NULL);
    CHECK0(pthread_barrier_init(&senders_done, NULL, N));
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < N; i++)
        t[i] = start(work, (void *)(intptr_t)i);
    for (int i = 0; i < N; i++)
        join(t[i]);
    CHECK(atomic_load(&alarms) > 0);
    puts("all signals came, all children ended");
    return 0;
}
