/* wired_churn.c: threads that changed what belongs to their kernel thread end while others like them begin, of which some stay for
 * a while; and all the time memory is mapped and given back, for which a thread that ends must wait. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#define MAKERS 8
#define AT_ONCE 8
#define MAPPERS 2
#define SIZE ((size_t)4 << 20)

static atomic_bool over;

static void *wired(void *arg)
{
    CHECK(unshare(CLONE_FS) == 0);
    if (arg)
        usleep(500000);
    return NULL;
}

static void *make(void *arg)
{
    pthread_t threads[AT_ONCE];
    for (unsigned n = (unsigned)(uintptr_t)arg; !over; n++) {
        for (unsigned i = 0; i < AT_ONCE; i++)
            threads[i] = start(wired, (n * 5 + i) % 8 ? NULL : &over);
        for (unsigned i = 0; i < AT_ONCE; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return NULL;
}

static void *map(void *arg)
{
    while (!over) {
        void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        CHECK(p != MAP_FAILED && munmap(p, SIZE) == 0);
    }
    return arg;
}

int main(void)
{
    pthread_t threads[MAKERS + MAPPERS];
    for (uintptr_t i = 0; i < MAKERS + MAPPERS; i++)
        threads[i] = start(i < MAKERS ? make : map, (void *)i);
    sleep(1);
    over = true;
    for (int i = 0; i < MAKERS + MAPPERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
