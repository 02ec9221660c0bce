/* syscall_cost.c: what one system call costs in a process that has threads.
 * usage: syscall_cost MS libc|raw|zero|wake; prints nanoseconds per call in the fastest batch.
 *   libc  getppid(), a call that needs nothing from anybody, with a number known in libc's code
 *   raw   the same by syscall(), where the number is only known when the call is made
 *   zero  read of one byte from /dev/zero: a call that might block, but does not
 *   wake  FUTEX_WAKE that finds nobody */
#include "bench.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>

enum { BATCH = 1000 };

static int zero_fd;
static uint32_t nobody_waits;

static void call_libc(void) { (void)getppid(); }

static void call_raw(void) { (void)syscall(SYS_getppid); }

static void call_zero(void) {
    char byte;
    if (read(zero_fd, &byte, 1) != 1)
        die("read");
}

static void call_wake(void) {
    if (syscall(SYS_futex, &nobody_waits, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 0)
        die("futex");
}

static const struct {
    const char *name;
    void (*call)(void);
} kinds[] = {{"libc", call_libc}, {"raw", call_raw}, {"zero", call_zero}, {"wake", call_wake}};

/* One thread stays alive and parked, so that the process counts as threaded for libc and for whatever lies below it. */
static void *park(void *arg) {
    pthread_mutex_t *never_free = arg;
    pthread_mutex_lock(never_free);
    return NULL;
}

/* The fastest batch counts: a few nanoseconds are looked for, and whatever else runs on the machine only adds to a batch. */
static void measure(const char *name, void (*call)(void), uint64_t duration) {
    uint64_t calls = 0, best = UINT64_MAX, start = now_ns(), before = start, after;
    do {
        for (int i = 0; i < BATCH; i++)
            call();
        after = now_ns();
        best = after - before < best ? after - before : best;
        before = after;
        calls += BATCH;
    } while (after - start < duration);
    report("syscall_cost", (double)best / BATCH, "ns", "kind=%s mean=%.1f calls=%lu", name,
           (double)(after - start) / (double)calls, calls);
}

int main(int argc, char **argv) {
    static pthread_mutex_t never_free = PTHREAD_MUTEX_INITIALIZER;
    const char *kind = argc > 2 ? argv[2] : "libc";
    zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (zero_fd < 0)
        die("/dev/zero");
    pthread_mutex_lock(&never_free);
    start_thread(park, &never_free);
    usleep(2000);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].name)) {
            measure(kind, kinds[i].call, arg_duration(argc, argv));
            exit(0); /* the parked thread ends with the process */
        }
    fprintf(stderr, "usage: syscall_cost MS libc|raw|zero|wake\n");
    return 2;
}
