/* attr_stack.c: stack size, guard size, a stack of the program's own, the smallest stack, and what getattr_np says. */
#include "check.h"
#include <limits.h>
#include <sys/mman.h>

struct bounds {
    char *low;
    size_t size;
    size_t guard;
};

static struct bounds bounds_of_self(void)
{
    pthread_attr_t attr;
    struct bounds b;
    void *low;
    CHECK0(pthread_getattr_np(pthread_self(), &attr));
    CHECK0(pthread_attr_getstack(&attr, &low, &b.size));
    CHECK0(pthread_attr_getguardsize(&attr, &b.guard));
    pthread_attr_destroy(&attr);
    b.low = low;
    return b;
}

static void check_inside(struct bounds b)
{
    char *here = __builtin_frame_address(0);
    CHECK(here > b.low && here < b.low + b.size);
}

static void *report(void *arg)
{
    struct bounds *b = arg;
    *b = bounds_of_self();
    check_inside(*b);
    return NULL;
}

/* Writes to every page of the stack that pthread_getattr_np says is ours, but for the 2 pages near the very end. */
static void *touch_all(void *arg)
{
    struct bounds b = bounds_of_self();
    volatile char *page = (char *)__builtin_frame_address(0) - 4096;
    size_t pages = 0;
    for (; page > b.low + b.guard + 8192; page -= 4096, pages++)
        *page = 1;
    *(size_t *)arg = pages;
    return NULL;
}

static struct bounds run(const pthread_attr_t *attr)
{
    struct bounds b;
    pthread_t thread;
    CHECK0(pthread_create(&thread, attr, report, &b));
    join(thread);
    return b;
}

int main(void)
{
    pthread_attr_t attr;
    struct bounds b;
    size_t size;

    CHECK0(pthread_attr_init(&attr));
    CHECK0(pthread_attr_getstacksize(&attr, &size));
    b = run(&attr);
    printf("default stack %zu KiB, reported %zu KiB\n", size >> 10, b.size >> 10);

    CHECK0(pthread_attr_setstacksize(&attr, 256 << 10));
    b = run(&attr);
    printf("256 KiB: reported %zu KiB, guard %zu\n", b.size >> 10, b.guard);

    CHECK0(pthread_attr_setguardsize(&attr, 64 << 10));
    b = run(&attr);
    printf("guard of 64 KiB: reported %zu KiB, guard %zu\n", b.size >> 10, b.guard);

    CHECK0(pthread_attr_setguardsize(&attr, 0));
    b = run(&attr);
    printf("no guard: guard %zu\n", b.guard);

    CHECK0(pthread_attr_setguardsize(&attr, 4096));
    CHECK0(pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN)));
    b = run(&attr);
    printf("smallest stack: reported %s\n", b.size == (size_t)sysconf(_SC_THREAD_STACK_MIN) ? "the same" : "other");
    CHECK(pthread_attr_setstacksize(&attr, 1024) == EINVAL);

    CHECK0(pthread_attr_setstacksize(&attr, 1 << 20));
    pthread_t thread;
    CHECK0(pthread_create(&thread, &attr, touch_all, &size));
    join(thread);
    CHECK(size > 240);
    pthread_attr_destroy(&attr);

    /* A stack of the program's own is used as it is, in the heap or mapped. */
    for (int heap = 0; heap < 2; heap++) {
        size = 128 << 10;
        void *own = heap ? aligned_alloc(4096, size)
                         : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(own != NULL && own != MAP_FAILED);
        CHECK0(pthread_attr_init(&attr));
        CHECK0(pthread_attr_setstack(&attr, own, size));
        for (int i = 0; i < 10; i++) {
            b = run(&attr);
            CHECK(b.low == own && b.size == size);
        }
        pthread_attr_destroy(&attr);
        if (heap)
            free(own);
        else
            CHECK(munmap(own, size) == 0);
    }
    puts("own stacks used");

    check_inside(bounds_of_self());
    puts("main is inside its own");
    return 0;
}
