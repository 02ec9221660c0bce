/* faults.c: synchronous signals go to the thread that caused them: address, alternate stack, siglongjmp, going on. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

static _Thread_local sigjmp_buf back;
static _Thread_local siginfo_t seen;
static _Thread_local int seen_sig, on_alt;
static _Thread_local char *alt;
static int skip;

#define ALT 65536

static void handler(int sig, siginfo_t *info, void *context)
{
    char here;
    ucontext_t *uc = context;
    seen = *info;
    seen_sig = sig;
    on_alt = alt && &here > alt && &here < alt + ALT;
    if (skip) {
        uc->uc_mcontext.gregs[REG_RIP] += 2;
        return;
    }
    siglongjmp(back, 1);
}

static volatile int zero;
static volatile uintptr_t nowhere = 8;

static __attribute__((noinline)) int deep(int n)
{
    volatile char big[4096];
    big[0] = (char)n;
    return n < 100000000 ? deep(n + 1) + big[0] : 0;
}

static void *thread(void *page)
{
    stack_t st = {.ss_sp = NULL}, old;
    if (!sigsetjmp(back, 1))
        *(volatile int *)page = 1;
    printf("segv %d code %d at page %d alt %d\n", seen_sig, seen.si_code, seen.si_addr == page, on_alt);
    if (!sigsetjmp(back, 1))
        printf("%d\n", 1 / zero);
    printf("fpe %d code %d\n", seen_sig, seen.si_code);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("ud2");
    printf("ill %d code %d\n", seen_sig, seen.si_code);
    if (!sigsetjmp(back, 1))
        *(volatile int *)0x8000000000000000UL = 1;
    printf("non-canonical %d code %d\n", seen_sig, seen.si_code);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("int3");
    printf("trap %d code %d\n", seen_sig, seen.si_code);
    skip = 1;
    __asm__ volatile("ud2");
    skip = 0;
    printf("went on\n");
    st.ss_sp = alt = malloc(ALT);
    st.ss_size = ALT;
    CHECK(sigaltstack(&st, &old) == 0 && old.ss_flags == SS_DISABLE);
    for (volatile int i = 0; i < 2; i++) {
        if (!sigsetjmp(back, 1))
            deep(0);
        printf("overflow %d alt %d\n", seen_sig, on_alt);
    }
    st.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&st, &old) == 0 && old.ss_sp == alt && old.ss_size == ALT);
    free(alt);
    alt = NULL;
    return NULL;
}

int main(void)
{
    struct sigaction sa;
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char path[] = "/tmp/faultsXXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    CHECK(ftruncate(fd, 4096) == 0);
    char *file = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = handler;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++)
        sigaction(sigs[i], &sa, NULL);
    join(start(thread, page));
    if (!sigsetjmp(back, 1))
        printf("%d\n", file[5000]);
    printf("bus %d at %d\n", seen_sig, seen.si_addr == file + 5000);
    thread(page);
    /* A bad pointer in a call is an error, not a signal. */
    seen_sig = 0;
    CHECK_ERRNO((int)syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
    CHECK_ERRNO((int)write(1, (void *)nowhere, 8), EFAULT);
    printf("EFAULT without a signal %d\n", seen_sig);
    return 0;
}
