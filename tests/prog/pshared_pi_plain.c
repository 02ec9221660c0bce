/* pshared_pi_plain.c: a mutex with priority inheritance shared by processes of which some have made a thread and some have not. */
#include "check.h"
#include <sys/mman.h>
#include <sys/wait.h>

#define PROCESSES 4
#define ROUNDS 2000

static struct shared {
    pthread_mutex_t mutex[2];
    long count[2];
} *s;

static void make(pthread_mutex_t *m, int shared_first)
{
    pthread_mutexattr_t a;
    CHECK0(pthread_mutexattr_init(&a));
    if (shared_first)
        CHECK0(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
    if (!shared_first)
        CHECK0(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
    CHECK0(pthread_mutex_init(m, &a));
}

static void *count_up(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        int k = i % 2;
        CHECK0(pthread_mutex_lock(&s->mutex[k]));
        long seen = s->count[k];
        if (i % 16 == 0)
            sched_yield();
        s->count[k] = seen + 1;
        CHECK0(pthread_mutex_unlock(&s->mutex[k]));
    }
    return arg;
}

int main(void)
{
    pid_t pid[PROCESSES];
    int status;
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(s != MAP_FAILED);
    make(&s->mutex[0], 0);
    make(&s->mutex[1], 1);
    for (int i = 0; i < PROCESSES; i++) {
        pid[i] = fork();
        CHECK(pid[i] >= 0);
        if (pid[i] == 0) {
            if (i % 2)
                join(start(count_up, NULL));
            else
                count_up(NULL);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++)
        CHECK(waitpid(pid[i], &status, 0) == pid[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(s->count[0] + s->count[1] == (long)PROCESSES * ROUNDS);
    puts("counted by processes with and without threads");
    return 0;
}
