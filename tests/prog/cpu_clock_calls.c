/* cpu_clock_calls.c: a thread that lets the kernel work has used the CPU while another computes, and one that waits has not. */
#include "check.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { PIECE = 32 << 20, LEAST = 150, SLACK = 10 }; /* bytes; ms */
#define MS NSEC_PER_MSEC

static atomic_int stop;
static int64_t used_reading, used_waiting, used_computing;

static void *computes(void *arg)
{
    while (!stop)
        ;
    used_computing = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return arg;
}

static int64_t ns_of(struct timeval t)
{
    return t.tv_sec * NSEC_PER_SEC + t.tv_usec * 1000LL;
}

static void *waits(void *arg)
{
    struct rusage u;
    int *fd = arg;
    char c;
    while (!stop) {
        CHECK(read(*fd, &c, 1) == 1);
        sleep_ms(2);
    }
    CHECK(getrusage(RUSAGE_THREAD, &u) == 0);
    used_waiting = ns_of(u.ru_utime) + ns_of(u.ru_stime);
    return arg;
}

static void *reads(void *arg)
{
    char *buffer = malloc(PIECE);
    int zeros = open("/dev/zero", O_RDONLY);
    struct rusage before, now;
    CHECK(buffer && zeros >= 0);
    CHECK(getrusage(RUSAGE_SELF, &before) == 0);
    do {
        CHECK(read(zeros, buffer, PIECE) == PIECE);
        CHECK(getrusage(RUSAGE_SELF, &now) == 0);
    } while (ns_of(now.ru_stime) - ns_of(before.ru_stime) < LEAST * MS);
    used_reading = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return arg;
}

int main(void)
{
    int fd[2];
    CHECK(pipe(fd) == 0);
    pthread_t c = start(computes, NULL), w = start(waits, &fd[0]), r = start(reads, NULL);
    for (int i = 0; i < 100; i++) {
        CHECK(write(fd[1], "x", 1) == 1);
        usleep(500);
    }
    join(r);
    stop = 1;
    CHECK(write(fd[1], "x", 1) == 1);
    join(w);
    join(c);
    int64_t process = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    int little = used_reading < LEAST / 2 * MS, much = used_reading > process - used_computing + SLACK * MS;
    printf("one read: %s, one %s\n", little ? "too little" : much ? "too much" : "as it did", used_waiting > LEAST / 3 * MS ? "computed" : "waited");
    if (little || much)
        printf("process %ld ms, reading %ld, computing %ld\n", (long)(process / MS), (long)(used_reading / MS), (long)(used_computing / MS));
    return 0;
}
