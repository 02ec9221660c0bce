/* for_another.c: while another process sends signals that another thread handles, the main thread's calls do all that they were
 * asked for and wait as long as they were told: large reads of devices without an end, waits with a time from now. */
#include "../prog/check.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MB (1 << 20)
#define WAIT_MS 2000
#define EVERY_US 1800000
#define TOO_LONG_MS 3500 /* on a machine that is busy; all of it anew would be 3800, each time */
#define TIMES 5 /* since the machine may stand still, too */
#define IORING_ENTER_WAIT (IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG)

static volatile sig_atomic_t handled;
static int stop[2];

static void handler(int sig)
{
    (void)sig;
    handled = handled + 1;
}

static void *handles(void *arg)
{
    char c;
    CHECK0(pthread_sigmask(SIG_UNBLOCK, arg, NULL));
    while (read(stop[0], &c, 1) < 0)
        CHECK(errno == EINTR);
    return NULL;
}

static pid_t sender(int every_us)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        if (every_us)
            usleep((useconds_t)every_us);
        kill(parent, SIGUSR1);
    }
}

static void end_sender(pid_t pid)
{
    int status;
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
}

static void large_reads(void)
{
    static char buf[4 * MB];
    struct iovec v[] = {{buf, 100}, {buf + 100, 2 * MB}, {buf + 100 + 2 * MB, MB}};
    static const char *const path[] = {"/dev/zero", "/dev/urandom", "/dev/random"};
    for (int rounds = 0; rounds < 5 || handled < 20; rounds++) {
        for (int i = 0; i < 3; i++) {
            int fd = open(path[i], O_RDONLY);
            CHECK(fd >= 0);
            CHECK(read(fd, buf, sizeof(buf)) == sizeof(buf));
            CHECK(readv(fd, v, 3) == 100 + 3 * MB);
            close(fd);
        }
        CHECK(getrandom(buf, sizeof(buf), 0) == sizeof(buf));
    }
    puts("reads are whole");
}

/* A wait by `once`, which is told what it waits on. */
static void check_waits(const char *what, void (*once)(unsigned long on), unsigned long on)
{
    int64_t ms = TOO_LONG_MS;
    for (int i = 0; i < TIMES && ms >= TOO_LONG_MS; i++) {
        int64_t begin = now_ns(CLOCK_MONOTONIC);
        once(on);
        ms = (now_ns(CLOCK_MONOTONIC) - begin) / NSEC_PER_MSEC;
    }
    if (ms < WAIT_MS - 1 || ms >= TOO_LONG_MS)
        printf("%s: waited %d ms\n", what, (int)ms);
}

static void by_semtimedop(unsigned long id)
{
    struct sembuf op = {.sem_op = -1};
    struct timespec ts = timespec_of(WAIT_MS * NSEC_PER_MSEC);
    CHECK_ERRNO(semtimedop((int)id, &op, 1, &ts), EAGAIN);
}

static void semaphore(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(id >= 0);
    check_waits("semtimedop", by_semtimedop, (unsigned long)id);
    semctl(id, 0, IPC_RMID);
}

static void by_getevents(unsigned long ctx)
{
    struct io_event event;
    struct timespec ts = timespec_of(WAIT_MS * NSEC_PER_MSEC);
    CHECK(syscall(SYS_io_getevents, ctx, 1L, 1L, &event, &ts) == 0);
}

static void asynchronous(void)
{
    aio_context_t ctx = 0;
    if (syscall(SYS_io_setup, 4, &ctx) < 0)
        return; /* the kernel has none */
    check_waits("io_getevents", by_getevents, ctx);
    syscall(SYS_io_destroy, ctx);
}

static void by_uring_enter(unsigned long fd)
{
    struct timespec ts = timespec_of(WAIT_MS * NSEC_PER_MSEC);
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
    CHECK_ERRNO(syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_WAIT, &arg, sizeof(arg)), ETIME);
}

static void ring(void)
{
    struct io_uring_params p = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);
    if (fd < 0 || !(p.features & IORING_FEAT_EXT_ARG))
        return;
    check_waits("io_uring_enter", by_uring_enter, (unsigned long)fd);
    close(fd);
}

/* In a process of its own, whose first thread it is. */
static pid_t in_process(void (*fn)(void), sigset_t *usr)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child)
        return child;
    CHECK(pipe(stop) == 0);
    pthread_t t = start(handles, usr);
    sleep_ms(1);
    pid_t pid = sender(fn == large_reads ? 0 : EVERY_US);
    fn();
    end_sender(pid);
    close(stop[1]);
    join(t);
    exit(0);
}

static void ended(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
    struct sigaction sa = {.sa_handler = handler};
    sigset_t usr;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    CHECK0(pthread_sigmask(SIG_BLOCK, &usr, NULL));
    ended(in_process(large_reads, &usr));
    pid_t waits[] = {in_process(semaphore, &usr), in_process(asynchronous, &usr), in_process(ring, &usr)};
    for (int i = 0; i < 3; i++)
        ended(waits[i]);
    puts("waits are as long as they were told");
    return 0;
}
