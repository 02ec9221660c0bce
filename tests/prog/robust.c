/* robust.c: a robust mutex whose owner ends, thread or process, is passed on with EOWNERDEAD. */
#include "check.h"
#include <sys/mman.h>
#include <sys/wait.h>

static pthread_mutex_t *mutex;

static void make(int pshared)
{
    pthread_mutexattr_t attr;
    CHECK0(pthread_mutexattr_init(&attr));
    CHECK0(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
    CHECK0(pthread_mutexattr_setpshared(&attr, pshared));
    CHECK0(pthread_mutex_init(mutex, &attr));
}

static void *dies_with_it(void *arg)
{
    CHECK0(pthread_mutex_lock(mutex));
    for (int i = 0; i < 5; i++)
        sched_yield();
    return arg;
}

static void *waits_for_it(void *arg)
{
    int err = pthread_mutex_lock(mutex);
    if (err == EOWNERDEAD)
        CHECK0(pthread_mutex_consistent(mutex));
    else
        CHECK0(err);
    CHECK0(pthread_mutex_unlock(mutex));
    (void)arg;
    return (void *)(intptr_t)err;
}

static void *holds_until(void *arg)
{
    CHECK0(pthread_mutex_lock(mutex));
    pthread_barrier_wait(arg);
    sleep_ms(10); /* the others come to wait; the result is the same if they have not */
    return NULL;
}

static void owner_thread_dies(void)
{
    pthread_t threads[5];
    pthread_barrier_t barrier;
    join(start(dies_with_it, NULL));
    CHECK(pthread_mutex_trylock(mutex) == EOWNERDEAD);
    CHECK0(pthread_mutex_consistent(mutex));
    CHECK0(pthread_mutex_unlock(mutex));

    CHECK0(pthread_barrier_init(&barrier, NULL, 2));
    pthread_t owner = start(holds_until, &barrier);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 5; i++)
        threads[i] = start(waits_for_it, NULL);
    join(owner);
    int told = 0;
    for (int i = 0; i < 5; i++)
        told += (int)(intptr_t)join(threads[i]) == EOWNERDEAD;
    printf("told that the owner died: %d\n", told);

    /* Given on without being made consistent, it is lost for good. */
    join(start(dies_with_it, NULL));
    CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD);
    CHECK0(pthread_mutex_unlock(mutex));
    CHECK(pthread_mutex_lock(mutex) == ENOTRECOVERABLE);
    CHECK0(pthread_mutex_destroy(mutex));
}

static void owner_process_dies(void)
{
    int fds[2];
    char c;
    make(PTHREAD_PROCESS_SHARED);
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK0(pthread_mutex_lock(mutex));
        CHECK(write(fds[1], "x", 1) == 1);
        sleep_ms(10);
        _exit(3);
    }
    CHECK(read(fds[0], &c, 1) == 1);
    CHECK((int)(intptr_t)join(start(waits_for_it, NULL)) == EOWNERDEAD);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    puts("owner process died");
}

int main(void)
{
    mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(mutex != MAP_FAILED);
    make(PTHREAD_PROCESS_PRIVATE);
    owner_thread_dies();
    owner_process_dies();
    return 0;
}
