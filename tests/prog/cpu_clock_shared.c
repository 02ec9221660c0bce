/* cpu_clock_shared.c: what a thread's CPU clock tells where other processes have the CPU most of the time: no more than the
 * process used, not less than a part of it, and never back; also the main thread's, whose clock goes on when the first thread
 * is made. */
#include "onecpu.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { OTHERS = 2, LEAST = 60, SLACK = 25 }; /* ms */
#define MS NSEC_PER_MSEC

static pid_t others[OTHERS];
static atomic_int stop;
static pthread_barrier_t done;
static clockid_t clocks[2];
static int64_t used[2];

static int64_t burn(int64_t ns)
{
    int64_t begin = now_ns(CLOCK_PROCESS_CPUTIME_ID), last = 0, least = 0, now;
    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin < ns) {
        now = now_ns(CLOCK_THREAD_CPUTIME_ID);
        if (last && now - last < least)
            least = now - last;
        last = now;
    }
    return least;
}

static void *computes(void *arg)
{
    int k = (int)(long)arg;
    CHECK0(pthread_getcpuclockid(pthread_self(), &clocks[k]));
    int64_t begin = now_ns(CLOCK_THREAD_CPUTIME_ID), back = burn(2 * LEAST * MS);
    used[k] = now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    if (back)
        printf("went back by %ld ns\n", (long)-back);
    pthread_barrier_wait(&done);
    pthread_barrier_wait(&done);
    return arg;
}

static void *watches(void *arg)
{
    int64_t last[2] = { 0, 0 };
    while (!stop) {
        for (int i = 0; i < 2; i++) {
            int64_t now = clocks[i] ? now_ns(clocks[i]) : 0;
            if (now < last[i])
                printf("thread %d, as another sees it, went back by %ld ns\n", i, (long)(last[i] - now));
            last[i] = now;
        }
        sleep_ms(1);
    }
    return arg;
}

int main(void)
{
    pthread_t t[2], w;
    pthread_barrier_init(&done, NULL, 3);
    use_one_cpu();
    burn(LEAST * MS);
    for (int i = 0; i < OTHERS; i++)
        if ((others[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                ;
        }
    int64_t process = now_ns(CLOCK_PROCESS_CPUTIME_ID), own = now_ns(CLOCK_THREAD_CPUTIME_ID);
    CHECK0(pthread_create(&t[0], NULL, computes, (void *)0));
    CHECK0(pthread_create(&t[1], NULL, computes, (void *)1));
    CHECK0(pthread_create(&w, NULL, watches, NULL));
    int64_t before = own;
    own = now_ns(CLOCK_THREAD_CPUTIME_ID);
    printf("main thread: %s\n", own >= before ? "goes on" : "went back");
    burn(LEAST * MS);
    int64_t mine = now_ns(CLOCK_THREAD_CPUTIME_ID) - own;
    pthread_barrier_wait(&done);
    stop = 1;
    CHECK0(pthread_join(w, NULL));
    pthread_barrier_wait(&done); /* their clocks are there till then */
    for (int i = 0; i < 2; i++)
        CHECK0(pthread_join(t[i], NULL));
    process = now_ns(CLOCK_PROCESS_CPUTIME_ID) - process;
    int64_t sum = mine + used[0] + used[1];
    if (sum > process + SLACK * MS || sum < process / 2)
        printf("process %ld ms, threads %ld %ld %ld\n", (long)(process / MS), (long)(mine / MS), (long)(used[0] / MS), (long)(used[1] / MS));
    for (int i = 0; i < OTHERS; i++) {
        kill(others[i], SIGKILL);
        waitpid(others[i], NULL, 0);
    }
    return 0;
}
