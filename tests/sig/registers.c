/* registers.c: handlers that use every vector register leave those of what they interrupt alone: in computations, and
 * across system calls made inline. */
#include "check.h"
#include <immintrin.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static atomic_int hits, stop;

static void handler(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)sig, (void)info;
    CHECK(uc->uc_mcontext.fpregs != NULL);
    __asm__ volatile("pcmpeqb %%xmm0,%%xmm0; movdqa %%xmm0,%%xmm1; movdqa %%xmm0,%%xmm7; movdqa %%xmm0,%%xmm15"
                     ::: "xmm0", "xmm1", "xmm7", "xmm15");
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vpxor %%xmm0,%%xmm0,%%xmm0; vmovaps %%ymm0,%%ymm1; vmovaps %%ymm0,%%ymm7; vmovaps "
                         "%%ymm0,%%ymm15" ::: "xmm0", "xmm1", "xmm7", "xmm15");
    unsigned mxcsr = _mm_getcsr();
    CHECK((mxcsr & 0xffc0) == 0x1f80);
    _mm_setcsr(0x7f80);
    hits++;
}

static void check_sse(double seed)
{
    double a = seed, b = seed + 1, c = seed + 2, d = seed + 3;
    for (int i = 0; i < 200000; i++) {
        a = a + 1, b = b + 1, c = c + 1, d = d + 1;
        __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d));
    }
    CHECK(a == seed + 200000 && b == a + 1 && c == a + 2 && d == a + 3);
}

__attribute__((target("avx"))) static void check_avx(double seed, int call)
{
    __m256d a = _mm256_set1_pd(seed), b = _mm256_set1_pd(seed + 1), one = _mm256_set1_pd(1);
    int n = call ? 2000 : 100000;
    for (int i = 0; i < n; i++) {
        a = _mm256_add_pd(a, one);
        b = _mm256_add_pd(b, one);
        if (call) {
            long r = i % 8 ? SYS_getppid : SYS_sched_yield;
            __asm__ volatile("syscall" : "+a"(r), "+x"(a), "+x"(b), "+x"(one)::"rcx", "r11", "memory");
        } else {
            __asm__ volatile("" : "+x"(a), "+x"(b));
        }
    }
    double out[8];
    _mm256_storeu_pd(out, a);
    _mm256_storeu_pd(out + 4, b);
    for (int i = 0; i < 4; i++)
        CHECK(out[i] == seed + n && out[i + 4] == seed + 1 + n);
}

static void *compute(void *arg)
{
    int id = (int)(intptr_t)arg, rounds = 0;
    do {
        check_sse(id * 1000);
        if (__builtin_cpu_supports("avx")) {
            check_avx(id * 1000, 0);
            check_avx(id * 1000, 1);
        }
        rounds++;
    } while (!stop);
    return NULL;
}

int main(void)
{
    struct sigaction sa;
    pthread_t t[4];
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGUSR1, &sa, NULL);
    for (intptr_t i = 0; i < 4; i++)
        t[i] = start(compute, (void *)i);
    for (int i = 0; i < 300; i++) {
        CHECK0(pthread_kill(t[i % 4], SIGUSR1));
        usleep(1000);
    }
    stop = 1;
    for (int i = 0; i < 4; i++)
        join(t[i]);
    printf("handlers ran: %d\n", hits > 100);
    return 0;
}
