/* own_syscall.c: system calls by instructions in the program itself, in the shapes that compilers and people write. */
#include "futex.h"

static uint32_t word;

/* The number by an immediate move, as in libc. */
static long wait_imm(uint32_t *addr, uint32_t value)
{
    long result;
    register const void *timeout __asm__("r10") = NULL;
    __asm__ volatile("mov $202, %%eax\n\tsyscall"
                     : "=&a"(result)
                     : "D"(addr), "S"((long)FUTEX_WAIT_PRIVATE), "d"((long)value), "r"(timeout)
                     : "rcx", "r11", "memory");
    return result;
}

/* The number comes in a register from far away; what follows tests the result. */
static __attribute__((noinline)) long any(long number, long a, long b, long c, long d)
{
    long result = number;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall\n\tcmp $-4095, %%rax\n\tjae 1f\n\tjmp 2f\n1:\tneg %%rax\n\tneg %%rax\n2:"
                     : "+a"(result)
                     : "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

/* Two that share the code that follows; the second one is jumped to. */
static __attribute__((noinline)) long two_in_a_row(int first_too)
{
    long result;
    __asm__ volatile("test %1, %1\n\tjz 1f\n\tmov $24, %%eax\n\tsyscall\n1:\tmov $24, %%eax\n\tsyscall"
                     : "=&a"(result)
                     : "r"(first_too)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static void *waits(void *arg)
{
    uint32_t *addr = arg;
    long result;
    while (__atomic_load_n(addr, __ATOMIC_ACQUIRE) == 0)
        CHECK((result = wait_imm(addr, 0)) == 0 || result == -EAGAIN || result == -EINTR);
    return NULL;
}

static void *sleeps(void *arg)
{
    struct timespec ts = {0, 2 * NSEC_PER_MSEC};
    int64_t before = now_ns(CLOCK_MONOTONIC);
    CHECK(any(SYS_nanosleep, (long)&ts, 0, 0, 0) == 0);
    CHECK(now_ns(CLOCK_MONOTONIC) - before >= 2 * NSEC_PER_MSEC);
    CHECK(any(SYS_gettid, 0, 0, 0, 0) == gettid());
    CHECK(any(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 12345, 0) == -EAGAIN);
    for (int i = 0; i < 100; i++)
        CHECK(two_in_a_row(i % 2) == 0);
    return arg;
}

int main(void)
{
    pthread_t waiters[10], sleepers[10];
    for (int i = 0; i < 10; i++) {
        waiters[i] = start(waits, &word);
        sleepers[i] = start(sleeps, NULL);
    }
    for (int i = 0; i < 10; i++)
        join(sleepers[i]);
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    CHECK(any(SYS_futex, (long)&word, FUTEX_WAKE_PRIVATE, INT_MAX, 0) >= 0);
    for (int i = 0; i < 10; i++)
        join(waiters[i]);
    puts("own system calls served");
    return 0;
}
