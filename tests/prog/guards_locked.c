/* guards_locked.c: memory for stacks, mapped and unmapped again and again with guards of all sizes, before mlockall, while new
 * memory is locked (the kernel then refuses guards in page tables) and after it: it is zero where it was, a guard stops
 * who writes to it, and what was a guard before is stack then, all of it. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define PAGE 4096UL

enum { AT_ONCE = 40, ROUNDS = 6 };

static sigjmp_buf back;
static volatile sig_atomic_t expected;

static void on_segv(int sig)
{
    CHECK(expected || !"a guard in the middle of a stack");
    siglongjmp(back, sig);
}

static void check_stopped(volatile char *p)
{
    expected = 1;
    if (!sigsetjmp(back, 1)) {
        *p = 1;
        CHECK(!"no guard");
    }
    expected = 0;
}

static char *make(size_t size, size_t guard)
{
    char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(mprotect(p + guard, size - guard, PROT_READ | PROT_WRITE) == 0);
    for (size_t i = size - PAGE; i >= size - 2 * PAGE; i -= 64)
        CHECK(p[i] == 0);
    return p;
}

static void use(char *p, size_t size, size_t guard)
{
    for (size_t at = guard; at < size; at += PAGE)
        p[at] = p[at + PAGE - 1] = 1;
    if (guard) {
        check_stopped(p);
        check_stopped(p + guard - 1);
    }
}

static void with_guard(size_t size, size_t guard)
{
    char *p[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        p[i] = make(size, guard);
    for (int i = 0; i < AT_ONCE; i++)
        use(p[i], size, guard);
    for (int i = 0; i < AT_ONCE; i++)
        CHECK(munmap(p[i], size) == 0);
}

static void all_guards(size_t size)
{
    static const size_t pages[ROUNDS] = { 4, 1, 8, 0, 2, 8 };
    for (int i = 0; i < ROUNDS; i++)
        with_guard(size, pages[i] * PAGE);
}

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    CHECK(signal(SIGSEGV, on_segv) != SIG_ERR);
    join(start(nothing, NULL));
    all_guards(16 * PAGE);
    with_guard(20 * PAGE, 8 * PAGE);
    if (mlockall(MCL_FUTURE)) /* the limit */
        CHECK(errno == ENOMEM || errno == EPERM);
    with_guard(24 * PAGE, 8 * PAGE);
    all_guards(16 * PAGE);
    all_guards(20 * PAGE);
    all_guards(24 * PAGE);
    CHECK(munlockall() == 0);
    all_guards(16 * PAGE);
    all_guards(20 * PAGE);
    all_guards(24 * PAGE);
    all_guards(28 * PAGE);
    puts("guards ok");
    return 0;
}
