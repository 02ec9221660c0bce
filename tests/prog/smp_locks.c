/* smp_locks.c: libc's locked instructions on memory that another process has too, however it comes to have it, while threads
 * of this process do the same: no count may be lost. sem_post is nothing but such an instruction when nobody waits.
 *
 *     smp_locks [WAY]      one way in this process; without it, every way in a process of its own
 */
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>

#define POSTS 1000000
#define THREADS 2
#define CHILD_STACK (256 << 10)

static sem_t *sem;
static atomic_int *here; /* in the same memory: how many have begun */
static int sides = 1;

/* Begins when the other process has begun too. */
static void *post(void *arg)
{
    (*here)++;
    while (*here < sides)
        sched_yield();
    for (int i = 0; i < POSTS; i++)
        CHECK(sem_post(sem) == 0);
    return arg;
}

static int post_in_child(void *arg)
{
    post(arg);
    return 0;
}

static void *nothing(void *arg)
{
    return arg;
}

static void use(void *memory)
{
    CHECK(memory != MAP_FAILED);
    sem = memory;
    here = (atomic_int *)(sem + 1);
    CHECK(sem_init(sem, 1, 0) == 0);
}

static void by_mmap(void)
{
    use(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void by_shmat(void)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600);
    CHECK(id >= 0);
    use(shmat(id, NULL, 0));
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* Read-only at first. */
static void by_file(void)
{
    int fd = memfd_create("smp_locks", 0);
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
    use(p);
    close(fd);
}

static pid_t forked(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(post_in_child(NULL));
    return pid;
}

static void by_clone_vm(void)
{
    static char own[4096] __attribute__((aligned(64)));
    use(own);
}

/* A process that has the same memory, threads and all. */
static pid_t cloned(void)
{
    char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    return clone(post_in_child, stack + CHILD_STACK, CLONE_VM | SIGCHLD, NULL);
}

static void nobody(void)
{
    static char own[4096] __attribute__((aligned(64)));
    use(own);
}

static const struct way {
    const char *name;
    void (*share)(void);
    pid_t (*other)(void); /* makes the other process */
    int before;           /* shared before the first thread */
} ways[] = {
    {"private", nobody, NULL, 0}, {"mmap", by_mmap, forked, 0},        {"before", by_mmap, forked, 1},
    {"shmat", by_shmat, forked, 0}, {"file", by_file, forked, 0}, {"file-before", by_file, forked, 1},
    {"clone", by_clone_vm, cloned, 0},
};

static void run(const struct way *w)
{
    pthread_t threads[THREADS];
    pid_t pid = 0;
    int status = 0, count;
    if (w->before)
        w->share();
    join(start(nothing, NULL));
    if (!w->before)
        w->share();
    if (w->other) {
        sides = THREADS + 1;
        pid = w->other();
    }
    CHECK(pid >= 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(post, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK(!pid || (waitpid(pid, &status, 0) == pid && status == 0));
    CHECK(sem_getvalue(sem, &count) == 0);
    CHECK(count == POSTS * (THREADS + (pid != 0)));
    printf("%s: every post counted\n", w->name);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int status = -1;
        pid_t pid;
        if (argc > 1) {
            if (!strcmp(ways[i].name, argv[1]))
                run(&ways[i]);
            continue;
        }
        CHECK((pid = fork()) >= 0);
        if (pid == 0) {
            run(&ways[i]);
            exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    return 0;
}
