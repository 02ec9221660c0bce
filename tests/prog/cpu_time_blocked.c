/* cpu_time_blocked.c: a thread's CPU clock neither runs while it is blocked in a system call nor loses what it used before. */
#include "check.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define USED (60 * NSEC_PER_MSEC)
#define BLOCKED (400 * NSEC_PER_MSEC)
#define STILL NSEC_PER_MSEC

static char fifo[64];
static pthread_t self;
static sem_t begun;
static _Atomic int64_t stood_at; /* where its clock stood while it was blocked */
static int hold[2]; /* the child lives until the writing end is closed */

static void compute(int64_t until)
{
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < until)
        ;
}

static void check_used(int64_t before)
{
    int64_t now = now_ns(CLOCK_THREAD_CPUTIME_ID);
    CHECK(stood_at >= before - STILL);
    CHECK(now >= stood_at - STILL);
    CHECK(now < stood_at + BLOCKED / 2);
}

/* A call that is expected to block, and one that is not. */
static void *waits(void *unused)
{
    char c;
    compute(USED);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(hold[1]);
        _exit(read(hold[0], &c, 1) != 0);
    }
    int64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID);
    sem_post(&begun);
    CHECK(waitpid(child, NULL, 0) == child);
    check_used(before);
    return unused;
}

static void *opens(void *unused)
{
    compute(USED);
    int64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID);
    sem_post(&begun);
    int fd = open(fifo, O_RDONLY);
    CHECK(fd >= 0);
    check_used(before);
    close(fd);
    return unused;
}

static void run(void *(*fn)(void *))
{
    clockid_t clock;
    CHECK0(pthread_create(&self, NULL, fn, NULL));
    CHECK0(pthread_getcpuclockid(self, &clock));
    sem_wait(&begun);
    usleep(BLOCKED / 1000);
    /* On a busy machine it may be seen late that the call blocks. */
    int64_t used = now_ns(clock), last = -2 * STILL;
    for (int i = 0; i < 100 && used - last > STILL; i++) {
        last = used;
        usleep(50000);
        used = now_ns(clock);
    }
    CHECK(used - last <= STILL);
    CHECK(used >= USED);
    stood_at = used;
    if (fn == opens) {
        int fd = open(fifo, O_WRONLY);
        CHECK(fd >= 0);
        CHECK0(pthread_join(self, NULL));
        close(fd);
    } else {
        close(hold[1]);
        CHECK0(pthread_join(self, NULL));
    }
}

int main(void)
{
    snprintf(fifo, sizeof(fifo), "/tmp/cpu_time_blocked.%d", (int)getpid());
    CHECK(pipe(hold) == 0);
    CHECK(mkfifo(fifo, 0600) == 0);
    sem_init(&begun, 0, 0);
    run(waits);
    run(opens);
    unlink(fifo);
    puts("ok");
    return 0;
}
