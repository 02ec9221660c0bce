/* clone_stack_top.c: a thread made by clone3 itself finds what its maker put at the top of its stack. */
#include "check.h"
#include <asm/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define THREADS 20
#define SIZE (1UL << 20)
#define FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID)

static long got;

/* Runs without a thread-local storage of its own: no call of libc's. */
__attribute__((used)) static void body(long arg)
{
    __atomic_store_n(&got, arg, __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("syscall" : : "a"(SYS_exit), "D"(0) : "rcx", "r11", "memory");
}

static long make(struct clone_args *a)
{
    long ret;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "pop %%rax\n\t"
                     "pop %%rdi\n\t"
                     "call *%%rax\n"
                     "1:"
                     : "=a"(ret)
                     : "a"(SYS_clone3), "D"(a), "S"(sizeof(*a))
                     : "rcx", "r11", "memory");
    return ret;
}

static void *sleeps(void *arg)
{
    sleep_ms(1);
    return arg;
}

int main(void)
{
    unsigned long fs;
    join(start(sleeps, NULL));
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
    for (long i = 1; i <= THREADS; i++) {
        char *stack = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(stack != MAP_FAILED);
        long *top = (long *)(stack + SIZE - 64);
        uint32_t *alive = (uint32_t *)(stack + SIZE - 16);
        top[0] = (long)body;
        top[1] = i;
        *alive = 1;
        got = 0;
        struct clone_args a = {.flags = FLAGS, .stack = (uintptr_t)stack, .stack_size = SIZE - 64, .tls = fs, .child_tid = (uintptr_t)alive};
        CHECK(make(&a) > 0);
        while (__atomic_load_n(alive, __ATOMIC_SEQ_CST) != 0)
            sleep_ms(1);
        CHECK(got == i);
        CHECK(munmap(stack, SIZE) == 0);
    }
    puts("each found what was left for it");
    return 0;
}
