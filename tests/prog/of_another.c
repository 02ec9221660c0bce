/* of_another.c: what a thread asks of and sets for another one by its id, one that has changed nothing itself: the calls take
 * the id, what is set is what is reported, nobody else has it, and who is made by that thread inherits it. */
#include "check.h"
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define WHO_PROCESS 1
#define BEST_EFFORT(n) IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, n)
#define NOBODY 0x3ffffff0
#define CHOWN (1u << CAP_CHOWN)

static pthread_barrier_t barrier;

static int result(long ret)
{
    return ret < 0 ? -errno : (int)ret;
}

static int ioprio(int tid)
{
    return result(syscall(SYS_ioprio_get, WHO_PROCESS, tid));
}

static int set_ioprio(int tid, int value)
{
    return result(syscall(SYS_ioprio_set, WHO_PROCESS, tid, value));
}

static void check_ioprio(int tid)
{
    int before = ioprio(0);
    CHECK(set_ioprio(tid, BEST_EFFORT(3)) == 0 && ioprio(tid) == BEST_EFFORT(3));
    CHECK(ioprio(0) == before);
    printf("I/O priority: invalid %d, nobody %d\n", set_ioprio(tid, IOPRIO_PRIO_VALUE(7, 0)), set_ioprio(NOBODY, BEST_EFFORT(3)));
    CHECK(ioprio(tid) == BEST_EFFORT(3));
}

static uint32_t capabilities(int tid)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, tid};
    struct __user_cap_data_struct d[2];
    CHECK(syscall(SYS_capget, &h, d) == 0);
    return d[0].effective;
}

/* The calling thread gives up one, if it has it; the other one keeps what it has, and cannot be given less. */
static void check_capabilities(int tid)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, tid};
    struct __user_cap_data_struct d[2];
    uint32_t before = capabilities(tid);
    CHECK(capabilities(0) == before);
    CHECK(syscall(SYS_capget, &h, d) == 0);
    d[0].effective &= ~CHOWN;
    CHECK_ERRNO((int)syscall(SYS_capset, &h, d), EPERM);
    CHECK(capabilities(0) == before && capabilities(tid) == before);
    h.pid = 0;
    CHECK(syscall(SYS_capset, &h, d) == 0);
    CHECK(capabilities(0) == (before & ~CHOWN));
    CHECK(capabilities(tid) == before);
    h.pid = tid;
    CHECK_ERRNO((int)syscall(SYS_capset, &h, d), EPERM);
    CHECK(capabilities(tid) == before);
}

static void check_scheduling(int tid)
{
    struct sched_param none = {0}, got;
    struct timespec slice;
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof(all), &all) == 0 && sched_getaffinity(tid, sizeof(one), &one) == 0);
    CHECK(CPU_EQUAL(&all, &one));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    CHECK(sched_setaffinity(tid, sizeof(one), &one) == 0 && sched_getaffinity(tid, sizeof(one), &all) == 0);
    CHECK(CPU_EQUAL(&all, &one));
    CHECK(sched_setscheduler(tid, SCHED_BATCH, &none) == 0 && sched_getscheduler(tid) == SCHED_BATCH);
    CHECK(sched_getscheduler(0) == SCHED_OTHER);
    CHECK(sched_setparam(tid, &none) == 0 && sched_getparam(tid, &got) == 0 && got.sched_priority == 0);
    CHECK(sched_rr_get_interval(tid, &slice) == 0);
    int nice = getpriority(PRIO_PROCESS, 0);
    CHECK(setpriority(PRIO_PROCESS, (id_t)tid, 7) == 0 && getpriority(PRIO_PROCESS, (id_t)tid) == 7);
    CHECK(getpriority(PRIO_PROCESS, 0) == nice);
    printf("nobody:");
    errno = 0;
    printf(" %d", result(sched_getaffinity(NOBODY, sizeof(one), &one)));
    printf(" %d", result(sched_setaffinity(NOBODY, sizeof(one), &one)));
    printf(" %d", result(sched_getscheduler(NOBODY)));
    printf(" %d", result(setpriority(PRIO_PROCESS, NOBODY, 0)));
    printf(" %d", result(getpriority(PRIO_PROCESS, NOBODY)));
    printf(" %d\n", result(sched_rr_get_interval(NOBODY, &slice)));
}

static void check_robust_list(int tid)
{
    void *head = NULL;
    size_t len = 0;
    CHECK(syscall(SYS_get_robust_list, tid, &head, &len) == 0 && head && len == 24);
}

/* Who may not have a smaller nice value may have a larger one. */
static void check_no_privilege(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    CHECK(syscall(SYS_capget, &h, d) == 0);
    d[0].effective &= ~(1u << CAP_SYS_NICE);
    CHECK(syscall(SYS_capset, &h, d) == 0);
    CHECK(setpriority(PRIO_PROCESS, 0, 15) == 0 && setpriority(PRIO_PROCESS, 0, 15) == 0);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 14), EACCES);
    CHECK(getpriority(PRIO_PROCESS, 0) == 15);
}

static void *sleeps(void *arg)
{
    *(int *)arg = gettid();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    CHECK(ioprio(0) == BEST_EFFORT(3) && getpriority(PRIO_PROCESS, 0) == 7 && sched_getscheduler(0) == SCHED_BATCH);
    return NULL;
}

static void *asks(void *arg)
{
    int tid = *(int *)arg;
    check_ioprio(tid);
    check_scheduling(tid);
    check_robust_list(tid);
    check_capabilities(tid);
    check_ioprio(tid);
    check_no_privilege();
    return NULL;
}

static void *inherits(void *arg)
{
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1);
    CHECK(ioprio(0) == BEST_EFFORT(3) && getpriority(PRIO_PROCESS, 0) == 7 && sched_getscheduler(0) == SCHED_BATCH);
    return arg;
}

int main(void)
{
    int tid, self = getpid();
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_NICE, &none) == 0);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t t = start(sleeps, &tid);
    pthread_barrier_wait(&barrier);
    join(start(asks, &tid));
    pthread_barrier_wait(&barrier);
    join(t);
    join(start(asks, &self));
    CHECK(ioprio(0) == BEST_EFFORT(3));
    join(start(inherits, NULL));
    puts("done");
    return 0;
}
