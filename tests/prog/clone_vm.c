/* clone_vm.c: a process of the program's own making that shares its memory (clone with CLONE_VM, no thread) wakes threads that wait
 * for a word of that memory, also those that waited before it was made, and at its end who waits for its id to be cleared. Threads
 * go on waking each other meanwhile.
 */
#include "futex.h"
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 200
#define TIMED 30000

static char stack[64 << 10] __attribute__((aligned(16)));
static uint32_t word, timed_word, child_id = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int whose;

static void *waits(void *arg)
{
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0)
        CHECK(futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0 || errno == EAGAIN);
    return arg;
}

static void *waits_until(void *arg)
{
    struct timespec ts = timespec_of(TIMED * NSEC_PER_MSEC);
    while (__atomic_load_n(&timed_word, __ATOMIC_SEQ_CST) == 0)
        CHECK(futex(&timed_word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0) == 0 || errno == EAGAIN);
    return arg;
}

static void *takes_turns(void *arg)
{
    int self = arg != NULL;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK0(pthread_mutex_lock(&lock));
        while (whose != self)
            CHECK0(pthread_cond_wait(&turn, &lock));
        whose = !self;
        CHECK0(pthread_cond_broadcast(&turn));
        CHECK0(pthread_mutex_unlock(&lock));
    }
    return NULL;
}

/* Nothing of libc's that knows its thread. */
static int sharer(void *arg)
{
    struct timespec ts = {0, 50 * NSEC_PER_MSEC};
    (void)arg;
    nanosleep(&ts, NULL);
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&timed_word, 1, __ATOMIC_SEQ_CST);
    long n = syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    n += syscall(SYS_futex, &timed_word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    nanosleep(&ts, NULL);
    return n > 4 ? 1 : 7;
}

int main(void)
{
    int status;
    pthread_t before[2] = {start(waits, NULL), start(waits_until, NULL)}, after[2], pair[2];
    pair[0] = start(takes_turns, NULL);
    pair[1] = start(takes_turns, &whose);
    sleep_ms(10);
    pid_t pid = clone(sharer, stack + sizeof(stack), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &child_id);
    CHECK(pid > 0);
    after[0] = start(waits, NULL);
    after[1] = start(waits_until, NULL);
    for (int i = 0; i < 2; i++) {
        join(before[i]);
        join(after[i]);
        join(pair[i]);
    }
    while (__atomic_load_n(&child_id, __ATOMIC_SEQ_CST) != 0)
        CHECK(futex(&child_id, FUTEX_WAIT, 1, NULL, NULL, 0) == 0 || errno == EAGAIN);
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    puts("woken by a process with the same memory");
    return 0;
}
