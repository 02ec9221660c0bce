/* gs_register.c: a program that uses the GS register itself: by system call and by instruction, in every thread another value;
 * it is there after calls, preemption, migration, handlers, in new threads and in the child of a fork. */
#include "check.h"
#include <asm/prctl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 6
#define ROUNDS 300

static uint64_t block[THREADS + 1][8];
static int by_instruction;
static _Thread_local uint64_t *mine;
static atomic_int handled;

static uint64_t word(void)
{
    uint64_t v;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(v));
    return v;
}

static void set_gs(void *p)
{
    if (by_instruction)
        __asm__ volatile("wrgsbase %0" : : "r"(p));
    else
        CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, p) == 0);
}

static void is_mine(void)
{
    uint64_t base = 1;
    CHECK(word() == mine[1]);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == (uintptr_t)mine);
}

static void on_signal(int sig)
{
    (void)sig;
    CHECK(word() == mine[1]); /* the kernel leaves GS as it is */
    sched_yield();
    CHECK(word() == mine[1]);
    handled++;
}

static void *inherits(void *arg)
{
    uint64_t *of_parent = arg;
    CHECK(word() == of_parent[1]);
    return NULL;
}

static void *uses(void *arg)
{
    long i = (long)arg;
    mine = block[i];
    mine[1] = (uint64_t)i * 1000;
    set_gs(mine);
    is_mine();
    for (int k = 0; k < ROUNDS; k++) {
        struct timespec cpu;
        sched_yield();
        is_mine();
        mine[1]++;
        if (k % 50 == 0) {
            join(start(inherits, mine));
            sleep_ms(1);
        }
        if (k % 20 == 0) {
            raise(SIGUSR1);
            CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0);
        }
        is_mine();
    }
    /* Long enough to be preempted, and hit by the timer. */
    int64_t end = now_ns(CLOCK_MONOTONIC) + 60 * NSEC_PER_MSEC, n = 0;
    while (now_ns(CLOCK_MONOTONIC) < end) {
        CHECK(word() == mine[1]);
        n++;
    }
    /* Back and forth, as code in a sandbox does. */
    uint64_t other[2] = { 0, 77 };
    for (int k = 0; k < 100; k++) {
        set_gs(other);
        CHECK(word() == 77);
        if (k % 10 == 0)
            sched_yield();
        CHECK(word() == 77);
        set_gs(mine);
        is_mine();
    }
    return NULL;
}

static void *untouched(void *arg)
{
    uint64_t base = 1;
    for (int k = 0; k < 100; k++) {
        CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == 0);
        sched_yield();
    }
    return arg;
}

static void all(void)
{
    pthread_t t[THREADS], u = start(untouched, NULL);
    struct itimerspec every = { { 0, 2000000 }, { 0, 2000000 } };
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2 };
    timer_t timer;
    mine = block[THREADS];
    mine[1] = 4711;
    for (long i = 0; i < THREADS; i++)
        t[i] = start(uses, (void *)i);
    set_gs(mine);
    ev._sigev_un._tid = (int)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
    for (long i = 0; i < THREADS; i++)
        join(t[i]);
    join(u);
    is_mine();
    CHECK(timer_delete(timer) == 0);
    pid_t child = fork();
    if (child == 0) {
        is_mine();
        join(start(inherits, mine));
        _exit(7);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    is_mine();
    CHECK(handled > THREADS * ROUNDS / 20);
    set_gs(NULL);
}

int main(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && sigaction(SIGUSR2, &sa, NULL) == 0);
    for (by_instruction = 0; by_instruction < 2; by_instruction++) {
        if (by_instruction && !(getauxval(AT_HWCAP2) & 2))
            break; /* the instruction is not to be had */
        all();
    }
    puts("ok");
    return 0;
}
