/* ids_of_threads.c: what calls say that are given the id of another thread where they want that of a process, what one thread may say
 * in a signal to another, and all that sched_setattr has. Main asks of a thread, a thread of main, a thread of another. */
#include "check.h"
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define RESET_ON_FORK 0x40000000 /* SCHED_RESET_ON_FORK */
#define FLAG_RESET_ON_FORK 1
#define FLAG_KEEP_POLICY 8
#define FLAG_KEEP_PARAMS 16

static pthread_barrier_t barrier;

/* glibc has it since 2.41. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static void say(const char *what, long result)
{
    printf(" %s %s,", what, result < 0 ? strerrorname_np(errno) : result ? "yes" : "0");
}

static void processes(pid_t id)
{
    pid_t self = getpid();
    say("setpgid", setpgid(id, id == self ? -1 : 0));
    if (id != self)
        say("pidfd", syscall(SYS_pidfd_open, id, 0));
    say("memory", syscall(SYS_kcmp, self, id, KCMP_VM, 0, 0));
    say("files", syscall(SYS_kcmp, id, self, KCMP_FILES, 0, 0));
    say("file", syscall(SYS_kcmp, id, id, KCMP_FILE, 1, 1));
    say("pages", syscall(SYS_move_pages, id, 0L, NULL, NULL, NULL, 0));
    puts("");
}

static void signals(pid_t id)
{
    static const int codes[] = {SI_USER, SI_TKILL, SI_QUEUE, SI_KERNEL, SI_TIMER};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        siginfo_t info = {.si_signo = SIGURG, .si_code = codes[i]};
        say("to the process", syscall(SYS_rt_sigqueueinfo, getpid(), SIGURG, &info));
        say("to it", syscall(SYS_rt_tgsigqueueinfo, getpid(), id, SIGURG, &info));
        say("to oneself", syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGURG, &info));
    }
    puts("");
}

static void set(pid_t id, struct attributes a)
{
    struct attributes got = {0};
    say("set", syscall(SYS_sched_setattr, id, &a, 0));
    CHECK(syscall(SYS_sched_getattr, id, &got, sizeof(got), 0) == 0);
    printf(" policy %u, flags %u, nice %d, also %d and %d;", got.policy, (unsigned)got.flags, got.nice,
           sched_getscheduler(id), getpriority(PRIO_PROCESS, (id_t)id));
}

static void attributes(pid_t id)
{
    struct attributes a = {.size = 47};
    say("NULL", syscall(SYS_sched_setattr, id, NULL, 0));
    say("short", syscall(SYS_sched_setattr, id, &a, 0));
    printf(" %u", a.size);
    say("flags", syscall(SYS_sched_setattr, id, &a, 1));
    say("NULL", syscall(SYS_sched_getattr, id, NULL, sizeof(a), 0));
    set(id, (struct attributes){.size = sizeof(a), .policy = SCHED_BATCH, .flags = FLAG_RESET_ON_FORK});
    set(id, (struct attributes){.size = sizeof(a), .policy = SCHED_BATCH | RESET_ON_FORK});
    set(id, (struct attributes){.size = sizeof(a), .policy = 77});
    set(id, (struct attributes){.size = sizeof(a), .flags = 1u << 30});
    set(id, (struct attributes){.flags = FLAG_KEEP_POLICY, .policy = SCHED_OTHER, .nice = 4});
    set(id, (struct attributes){.flags = FLAG_KEEP_PARAMS, .policy = SCHED_OTHER, .nice = 9});
    puts("");
}

static void all(pid_t id)
{
    processes(id);
    signals(id);
    attributes(id);
}

static void *asks(void *arg)
{
    all(*(pid_t *)arg);
    return NULL;
}

static void *sleeps(void *arg)
{
    *(pid_t *)arg = gettid();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(void)
{
    pid_t tid, self = getpid();
    CHECK(signal(SIGURG, SIG_IGN) != SIG_ERR);
    CHECK0(pthread_barrier_init(&barrier, NULL, 2));
    pthread_t t = start(sleeps, &tid);
    pthread_barrier_wait(&barrier);
    all(tid);
    join(start(asks, &self));
    join(start(asks, &tid));
    pthread_barrier_wait(&barrier);
    join(t);
    return 0;
}
