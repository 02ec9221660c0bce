/* long_memory_calls.c: a thread fills much memory, or gives it back, in one call; others, whose short sleeps end meanwhile, go on
 * beside it, also where two threads had just handed off to each other and one P was in use. */
#include "check.h"
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define SIZE (512UL << 20) /* to give it back takes several of the kernel's slices, should it share a CPU */
#define ROUNDS 20
#define BESIDE 3 /* a call that holds up all others sees one: just before it or behind */

static sem_t ping, pong;
static atomic_int woken, stop;

static void *echo(void *arg)
{
    while (!stop) {
        CHECK(sem_wait(&ping) == 0);
        CHECK(sem_post(&pong) == 0);
    }
    return arg;
}

static void *sleeper(void *arg)
{
    while (!stop) {
        usleep(100);
        woken++;
    }
    return arg;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void hand_off(void)
{
    for (int64_t end = now_ns(CLOCK_MONOTONIC) + 30 * NSEC_PER_MSEC; now_ns(CLOCK_MONOTONIC) < end;) {
        CHECK(sem_post(&ping) == 0);
        CHECK(sem_wait(&pong) == 0);
    }
}

static void fill(void *p, int lock)
{
    if (lock && mlock(p, SIZE) == 0) /* but for RLIMIT_MEMLOCK */
        return;
    CHECK(madvise(p, SIZE, MADV_POPULATE_WRITE) == 0);
}

/* How often the sleeper woke during each of the two calls, at best. */
static void calls(int lock, int *filling, int *giving_back)
{
    void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(madvise(p, SIZE, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    hand_off();
    int before = woken;
    fill(p, lock);
    *filling = larger(*filling, woken - before);
    hand_off();
    before = woken;
    CHECK(munmap(p, SIZE) == 0);
    *giving_back = larger(*giving_back, woken - before);
}

static void measure(int lock)
{
    int filling = 0, giving_back = 0;
    for (int i = 0; i < ROUNDS && (filling < BESIDE || giving_back < BESIDE); i++)
        calls(lock, &filling, &giving_back);
    CHECK(filling >= BESIDE);
    CHECK(giving_back >= BESIDE);
}

int main(void)
{
    CHECK(sem_init(&ping, 0, 0) == 0 && sem_init(&pong, 0, 0) == 0);
    pthread_t echoing = start(echo, NULL), sleeping = start(sleeper, NULL);
    measure(0);
    measure(1);
    stop = 1;
    CHECK(sem_post(&ping) == 0);
    join(echoing);
    join(sleeping);
    printf("woken beside all\n");
    return 0;
}
