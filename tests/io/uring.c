/* uring.c: io_uring by its system calls: threads that read files through rings of their own, of the plain kind and of the
 * kinds that belong to one thread, while others keep the scheduler busy; a ring made disabled and enabled by its user. Who submits and
 * waits in one call has what was waited for, whatever signals other threads get. */
#include "iotest.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ENTRIES 8
#define ROUNDS 40
#define BLOCK 512
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

struct ring {
    int fd;
    unsigned char *map;
    struct io_uring_sqe *sqe;
    struct io_uring_params p;
};

static char path[] = "/tmp/uring.XXXXXX";
static atomic_int stop;

static unsigned *word(struct ring *r, unsigned offset)
{
    return (unsigned *)(r->map + offset);
}

static int ring_open(struct ring *r, unsigned flags)
{
    memset(r, 0, sizeof *r);
    r->p.flags = flags;
    r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->p);
    if (r->fd < 0)
        return errno;
    size_t n = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
    r->map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
    r->sqe = mmap(NULL, ENTRIES * sizeof *r->sqe, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
    CHECK(r->map != MAP_FAILED && r->sqe != MAP_FAILED);
    return 0;
}

/* ENTRIES reads at once; waits for all of them in a call of its own. */
static void round_of_reads(struct ring *r, int file, unsigned char buf[ENTRIES][BLOCK], int round)
{
    unsigned tail = *word(r, r->p.sq_off.tail), mask = *word(r, r->p.sq_off.ring_mask);
    for (unsigned i = 0; i < ENTRIES; i++, tail++) {
        struct io_uring_sqe *s = &r->sqe[tail & mask];
        memset(s, 0, sizeof *s);
        s->opcode = IORING_OP_READ;
        s->flags = i & 1 ? IOSQE_ASYNC : 0;
        s->fd = file;
        s->addr = (unsigned long)buf[i];
        s->len = BLOCK;
        s->off = (unsigned)((round + (int)i) % 64 * BLOCK);
        s->user_data = i;
        word(r, r->p.sq_off.array)[tail & mask] = tail & mask;
    }
    __atomic_store_n(word(r, r->p.sq_off.tail), tail, __ATOMIC_RELEASE);
    long n = syscall(SYS_io_uring_enter, r->fd, ENTRIES, 0, 0, NULL, 0);
    CHECK(n == ENTRIES);
    unsigned head = *word(r, r->p.cq_off.head), cmask = *word(r, r->p.cq_off.ring_mask);
    while (__atomic_load_n(word(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE) - head < ENTRIES)
        CHECK(syscall(SYS_io_uring_enter, r->fd, 0, ENTRIES, IORING_ENTER_GETEVENTS, NULL, 0) >= 0 || errno == EINTR);
    for (unsigned i = 0; i < ENTRIES; i++, head++) {
        struct io_uring_cqe *c = (struct io_uring_cqe *)(r->map + r->p.cq_off.cqes) + (head & cmask);
        unsigned char want[BLOCK];
        CHECK(c->res == BLOCK && c->user_data < ENTRIES);
        fill(want, BLOCK, (unsigned)((round + (int)c->user_data) % 64));
        CHECK(memcmp(want, buf[c->user_data], BLOCK) == 0);
    }
    __atomic_store_n(word(r, r->p.cq_off.head), head, __ATOMIC_RELEASE);
}

struct job {
    unsigned flags;
    struct ring *made; /* by somebody else, disabled */
};

static void *reader(void *arg)
{
    struct job *j = arg;
    struct ring own, *r = j->made ? j->made : &own;
    unsigned char buf[ENTRIES][BLOCK];
    int file = open(path, O_RDONLY);
    CHECK(file >= 0);
    if (!j->made && ring_open(r, j->flags) != 0)
        CHECK(!"a ring that the main thread could have");
    if (j->made)
        CHECK(syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        round_of_reads(r, file, buf, i);
        sched_yield();
    }
    close(r->fd);
    close(file);
    return NULL;
}

static void *yielder(void *arg)
{
    while (!stop)
        sched_yield();
    return arg;
}

static void make_file(void)
{
    unsigned char block[BLOCK];
    int fd = mkstemp(path);
    for (unsigned i = 0; i < 64; i++) {
        fill(block, BLOCK, i);
        CHECK(write(fd, block, BLOCK) == BLOCK);
    }
    close(fd);
}

static void handler(int sig)
{
    (void)sig;
}

static void *takes_signals(void *arg)
{
    CHECK(pthread_sigmask(SIG_UNBLOCK, arg, NULL) == 0);
    while (!stop)
        pause();
    return NULL;
}

/* The first thread of a process of its own, where the kernel looks first for somebody to interrupt. */
static void waits(unsigned times, int until)
{
    static struct ring r;
    struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigset_t usr;
    pid_t self = getpid();
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && sigprocmask(SIG_BLOCK, &usr, NULL) == 0);
    CHECK(ring_open(&r, 0) == 0);
    start(takes_signals, &usr);
    pid_t sender = fork();
    if (sender == 0)
        for (;;) {
            usleep(5000);
            if (getppid() != self || kill(self, SIGUSR1) != 0)
                _exit(0);
        }
    for (unsigned i = 0; i < times; i++) {
        struct __kernel_timespec wait = { 0, 50 * NSEC_PER_MSEC }, limit = { 60, 0 };
        struct io_uring_getevents_arg arg = { .ts = (unsigned long)&limit };
        unsigned tail = *word(&r, r.p.sq_off.tail), at = tail & *word(&r, r.p.sq_off.ring_mask);
        r.sqe[at] = (struct io_uring_sqe){ .opcode = IORING_OP_TIMEOUT, .fd = -1, .addr = (unsigned long)&wait, .len = 1 };
        word(&r, r.p.sq_off.array)[at] = at;
        __atomic_store_n(word(&r, r.p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
        long n = until ? syscall(SYS_io_uring_enter, r.fd, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg) :
                         syscall(SYS_io_uring_enter, r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        CHECK(n == 1);
        CHECK(__atomic_load_n(word(&r, r.p.cq_off.tail), __ATOMIC_ACQUIRE) == i + 1);
        __atomic_store_n(word(&r, r.p.cq_off.head), i + 1, __ATOMIC_RELEASE);
    }
    CHECK(kill(sender, SIGKILL) == 0);
    exit(0);
}

static void signals_for_another(void)
{
    pid_t pid[8];
    int status;
    for (int i = 0; i < 8; i++) {
        pid[i] = fork();
        CHECK(pid[i] >= 0);
        if (pid[i] == 0)
            waits(10, i & 1);
    }
    for (int i = 0; i < 8; i++)
        CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
    printf("submits and waits: done\n");
}

int main(void)
{
    static const unsigned kinds[] = { 0, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_SINGLE_ISSUER,
                                      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED };
    struct ring probed;
    make_file();
    if (ring_open(&probed, 0) == 0) {
        close(probed.fd);
        signals_for_another();
    }
    pthread_t busy = start(yielder, NULL);
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct ring probe;
        struct job job = { kinds[k], NULL };
        pthread_t t[8];
        int err = ring_open(&probe, kinds[k]);
        if (err) {
            printf("kind %u: %s\n", k, strerror(err));
            continue;
        }
        if (kinds[k] & IORING_SETUP_R_DISABLED) {
            job.made = &probe;
            join(start(reader, &job));
        } else {
            close(probe.fd);
            for (int i = 0; i < 8; i++)
                t[i] = start(reader, &job);
            for (int i = 0; i < 8; i++)
                join(t[i]);
        }
        printf("kind %u: done\n", k);
    }
    stop = 1;
    join(busy);
    unlink(path);
    return 0;
}
