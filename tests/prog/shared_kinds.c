/* shared_kinds.c: a semaphore that two processes share, in memory of kinds that are hard to tell from private memory: huge pages
 * (where there are any), and any at all while the address space is used up. Threads whose stacks are in such memory are joined.
 */
#include "check.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SIZE (2UL << 20)

static sem_t *sem;

static void *waits(void *arg)
{
    struct timespec when = deadline(CLOCK_REALTIME, 30000);
    CHECK(sem_timedwait(sem, &when) == 0);
    return arg;
}

/* A child that posts when the parent waits. */
static pid_t poster(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        sleep_ms(50);
        CHECK(sem_post(sem) == 0);
        _exit(0);
    }
    return pid;
}

static void ends_well(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void in_thread(void)
{
    pid_t pid = poster();
    join(start(waits, NULL));
    ends_well(pid);
}

/* Address space that the process has, by the kernel's count. */
static unsigned long pages_mapped(void)
{
    unsigned long n = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%lu", &n) == 1);
    fclose(f);
    return n;
}

static void without_room(void)
{
    struct rlimit old, now;
    pid_t pid = poster();
    CHECK(getrlimit(RLIMIT_AS, &old) == 0);
    now = old;
    now.rlim_cur = pages_mapped() * 4096;
    CHECK(setrlimit(RLIMIT_AS, &now) == 0);
    waits(NULL);
    CHECK(setrlimit(RLIMIT_AS, &old) == 0);
    ends_well(pid);
}

static void *sleeps(void *arg)
{
    sleep_ms(20);
    return arg;
}

static void stack_in(void *memory)
{
    pthread_t t;
    pthread_attr_t a;
    CHECK0(pthread_attr_init(&a));
    CHECK0(pthread_attr_setstack(&a, memory, SIZE));
    CHECK0(pthread_create(&t, &a, sleeps, memory));
    CHECK(join(t) == memory);
}

int main(void)
{
    sem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(sem != MAP_FAILED && sem_init(sem, 1, 0) == 0);
    in_thread();
    without_room();
    void *plain = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(plain != MAP_FAILED);
    stack_in(plain);
    void *huge = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (huge != MAP_FAILED) {
        sem = huge; /* at a multiple of a huge page's size */
        CHECK(sem_init(sem, 1, 0) == 0);
        in_thread();
        sem = (sem_t *)((char *)huge + 5 * 4096 + 64);
        CHECK(sem_init(sem, 1, 0) == 0);
        in_thread();
        stack_in(huge);
    }
    puts("posted by another process");
    return 0;
}
