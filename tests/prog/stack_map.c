/* stack_map.c: memory that a program maps as a stack (MAP_STACK) is zero whenever it is mapped, and does under mprotect and
 * munmap what any mapping does, whatever a stack that was there before had. */
#include "check.h"
#include <stdbool.h>
#include <sys/mman.h>

#define PAGE 4096
#define SIZE (1 << 20)

static int probe; /* of a pipe: write(2) says EFAULT where there is no access, without a signal */

static bool readable(const char *p)
{
    char byte;
    ssize_t n = write(probe, p, 1);
    CHECK(n == 1 || (n == -1 && errno == EFAULT));
    return n == 1 && read(probe - 1, &byte, 1) == 1;
}

static char *map(int prot)
{
    char *p = mmap(NULL, SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void check_zero_memory(const char *p, size_t from)
{
    for (size_t i = from; i < SIZE; i += 512)
        CHECK(p[i] == 0);
    CHECK(p[SIZE - 1] == 0);
}

static void unmap(char *p)
{
    CHECK(munmap(p, SIZE) == 0);
}

/* Open from the start. */
static void plain(void)
{
    char *p = map(PROT_READ | PROT_WRITE);
    check_zero_memory(p, 0);
    memset(p, 0xaa, SIZE);
    unmap(p);
}

/* As glibc does it: closed first, then open above the guard. */
static void guarded(size_t guard)
{
    char *p = map(PROT_NONE);
    CHECK(mprotect(p + guard, SIZE - guard, PROT_READ | PROT_WRITE) == 0);
    CHECK(guard == 0 || (!readable(p) && !readable(p + guard - 1)));
    check_zero_memory(p, guard);
    memset(p + guard, 0xbb, SIZE - guard);
    unmap(p);
}

/* The guard grows and shrinks; what is above it stays. */
static void guard_changes(void)
{
    char *p = map(PROT_NONE);
    CHECK(mprotect(p + 2 * PAGE, SIZE - 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
    memset(p + 8 * PAGE, 0xcc, PAGE);
    CHECK(mprotect(p + 2 * PAGE, 4 * PAGE, PROT_NONE) == 0);
    CHECK(!readable(p + 5 * PAGE) && readable(p + 6 * PAGE));
    CHECK(mprotect(p + PAGE, 5 * PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(!readable(p) && readable(p + PAGE) && readable(p + 5 * PAGE));
    CHECK((unsigned char)p[8 * PAGE] == 0xcc);
    p[PAGE] = 1;
    CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(readable(p) && p[PAGE] == 1);
    unmap(p);
}

/* Closed after the fact, also in the middle, where data must survive. */
static void closed_later(void)
{
    char *p = map(PROT_READ | PROT_WRITE);
    CHECK(mprotect(p, PAGE, PROT_NONE) == 0);
    CHECK(!readable(p) && readable(p + PAGE));
    memset(p + SIZE / 2, 0xdd, PAGE);
    CHECK(mprotect(p + SIZE / 2, PAGE, PROT_NONE) == 0);
    CHECK(!readable(p + SIZE / 2) && readable(p + SIZE / 2 + PAGE));
    CHECK(mprotect(p + SIZE / 2, PAGE, PROT_READ) == 0);
    CHECK((unsigned char)p[SIZE / 2] == 0xdd);
    unmap(p);
}

/* Open in the middle only. */
static void open_in_the_middle(void)
{
    char *p = map(PROT_NONE);
    CHECK(mprotect(p + SIZE / 4, SIZE / 4, PROT_READ | PROT_WRITE) == 0);
    CHECK(!readable(p) && !readable(p + SIZE / 4 - 1) && readable(p + SIZE / 4) && readable(p + SIZE / 2 - 1));
    CHECK(!readable(p + SIZE / 2) && !readable(p + SIZE - 1));
    p[SIZE / 4] = 1;
    unmap(p);
}

/* Unmapped in pieces. */
static void in_pieces(void)
{
    char *p = map(PROT_READ | PROT_WRITE);
    memset(p, 0xee, SIZE);
    CHECK(munmap(p, SIZE / 4) == 0);
    CHECK((unsigned char)p[SIZE / 4] == 0xee && (unsigned char)p[SIZE - 1] == 0xee);
    CHECK(munmap(p + SIZE / 2, SIZE / 2) == 0);
    CHECK((unsigned char)p[SIZE / 4] == 0xee);
    CHECK(munmap(p + SIZE / 4, SIZE / 4) == 0);
}

static void map_over(char *p, size_t size, int prot, int flags, int fd)
{
    CHECK(mmap(p, size, prot, flags | MAP_FIXED, fd, 0) == p);
}

/* As Java's virtual machine makes and ends its guards, by mappings in the place of the stack's lowest pages, whatever
 * guard there was before. */
static void mapped_over(size_t guard)
{
    char *p = map(PROT_NONE);
    CHECK(mprotect(p + guard, SIZE - guard, PROT_READ | PROT_WRITE) == 0);
    memset(p + guard, 0x11, SIZE - guard);
    map_over(p, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    for (size_t i = 0; i < 8 * PAGE; i += 512)
        CHECK(p[i] == 0);
    CHECK(p[8 * PAGE] == 0x11);
    CHECK(mprotect(p, 8 * PAGE, PROT_NONE) == 0);
    CHECK(!readable(p) && !readable(p + 8 * PAGE - 1) && readable(p + 8 * PAGE));
    CHECK(mprotect(p + PAGE, 7 * PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(!readable(p) && readable(p + PAGE));
    map_over(p, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    CHECK(!readable(p) && !readable(p + 8 * PAGE - 1) && p[8 * PAGE] == 0x11);
    map_over(p + SIZE / 2, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    CHECK(p[SIZE / 2] == 0 && p[SIZE / 2 - 1] == 0x11 && p[SIZE / 2 + PAGE] == 0x11);
    unmap(p);
}

/* Memory that is shared, in the middle: it must be gone from the stack that comes next. */
static void shared_over(size_t guard)
{
    int fd = memfd_create("shared", 0);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    char *mine = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mine != MAP_FAILED);
    char *p = map(PROT_NONE);
    CHECK(mprotect(p + guard, SIZE - guard, PROT_READ | PROT_WRITE) == 0);
    memset(p + guard, 0x22, SIZE - guard);
    mine[0] = 0x33;
    map_over(p + SIZE / 2, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    CHECK(p[SIZE / 2] == 0x33 && p[SIZE / 2 + PAGE] == 0x22);
    map_over(p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    CHECK(p[0] == 0);
    CHECK(mprotect(p, PAGE, PROT_NONE) == 0 && !readable(p) && readable(p + PAGE));
    CHECK(mprotect(p + SIZE / 4, PAGE, PROT_NONE) == 0 && !readable(p + SIZE / 4) && readable(p + SIZE / 4 + PAGE));
    CHECK(mprotect(p + SIZE / 4, PAGE, PROT_READ | PROT_WRITE) == 0 && p[SIZE / 4] == 0x22);
    unmap(p);
    p = map(PROT_READ | PROT_WRITE);
    memset(p, 0x44, SIZE);
    CHECK(mine[0] == 0x33);
    unmap(p);
    CHECK(munmap(mine, PAGE) == 0 && close(fd) == 0);
}

static void *nothing(void *arg)
{
    return arg;
}

/* More than the pool keeps at hand, given back in another order. */
static void many(void)
{
    static char *all[1500];
    for (int i = 0; i < 1500; i++) {
        all[i] = map(PROT_NONE);
        CHECK(mprotect(all[i] + PAGE, SIZE - PAGE, PROT_READ | PROT_WRITE) == 0);
        CHECK(all[i][SIZE - 1] == 0 && all[i][SIZE - 9000] == 0);
        all[i][SIZE - 1] = all[i][SIZE - 9000] = 1;
    }
    for (int i = 0; i < 1500; i++)
        unmap(all[i * 7 % 1500]);
}

int main(void)
{
    int fd[2];
    CHECK(pipe(fd) == 0);
    CHECK(dup2(fd[0], 100) == 100 && dup2(fd[1], 101) == 101);
    probe = 101;
    join(start(nothing, NULL));
    for (int round = 0; round < 20; round++) {
        plain();
        guarded(PAGE);
        guarded(16 * PAGE);
        guard_changes();
        guarded(0);
        closed_later();
        open_in_the_middle();
        plain();
        in_pieces();
        mapped_over(PAGE);
        mapped_over(0);
        mapped_over(8 * PAGE);
        guarded(PAGE);
        shared_over(0);
        shared_over(4 * PAGE);
        guarded(0);
    }
    many();
    many();
    plain();
    puts("as any mapping");
    return 0;
}
