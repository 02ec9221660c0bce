/* ioprio.c: a thread's I/O priority, by its id, by none, and asked of by another thread; the others keep theirs, which is what
 * the process had before it made threads. */
#include "check.h"
#include <linux/ioprio.h>
#include <sys/syscall.h>

#define WHO_PROCESS 1

static pthread_barrier_t barrier, bystander;

static int get(int who)
{
    return (int)syscall(SYS_ioprio_get, WHO_PROCESS, who);
}

static int set(int who, int value)
{
    return syscall(SYS_ioprio_set, WHO_PROCESS, who, value) == 0 ? 0 : -errno;
}

static int at_start, other_tid;

static void *other(void *arg)
{
    *(int *)arg = (int)syscall(SYS_gettid);
    pthread_barrier_wait(&bystander);
    pthread_barrier_wait(&bystander);
    return NULL;
}

static void *setter(void *arg)
{
    int tid = (int)syscall(SYS_gettid), idle = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0), low = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
    printf("at first %d %d\n", get(0), get(tid));
    CHECK(set(tid, low) == 0);
    CHECK(get(0) == low && get(tid) == low);
    CHECK(set(0, idle) == 0);
    CHECK(get(0) == idle && get(tid) == idle);
    CHECK(get(other_tid) == at_start);
    printf("invalid %d, nobody %d\n", set(tid, IOPRIO_PRIO_VALUE(7, 0)), set(0x3ffffff0, low));
    *(int *)arg = tid;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    CHECK(get(0) == low);
    return NULL;
}

int main(void)
{
    int tid;
    at_start = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 5);
    CHECK(set(0, at_start) == 0);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_barrier_init(&bystander, NULL, 2);
    pthread_t o = start(other, &other_tid);
    pthread_barrier_wait(&bystander);
    CHECK(get(other_tid) == at_start);
    pthread_t t = start(setter, &tid);
    pthread_barrier_wait(&barrier);
    CHECK(get(tid) == IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    CHECK(set(tid, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)) == 0);
    pthread_barrier_wait(&barrier);
    join(t);
    pthread_barrier_wait(&bystander);
    join(o);
    printf("the others %d\n", get(0));
    return 0;
}
