/* data_limit.c: a program that uses up its limit on private memory (RLIMIT_DATA) while threads hand off to each other, and
 * then shares memory: that needs no more of what is limited, whatever stands behind it. A second kernel thread might not be had
 * for want of memory, and a line would say so: GOMAXPROCS is 1. */
#include "check.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define ROUNDS 2000
#define ROOM (64 << 20)
#define STEP (1 << 20)
#define PAGE 4096

static sem_t ping, pong;

static void *answer(void *arg)
{
    for (int i = 0; i < 2 * ROUNDS; i++)
        CHECK(sem_wait(&ping) == 0 && sem_post(&pong) == 0);
    return arg;
}

static void ask(void)
{
    for (int i = 0; i < ROUNDS; i++)
        CHECK(sem_post(&ping) == 0 && sem_wait(&pong) == 0);
}

static void use_up(size_t step)
{
    while (mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        ;
    CHECK(errno == ENOMEM);
}

int main(void)
{
    struct rlimit limit = {ROOM, ROOM};
    CHECK(sem_init(&ping, 0, 0) == 0 && sem_init(&pong, 0, 0) == 0);
    pthread_t t = start(answer, NULL);
    ask();
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    use_up(STEP);
    use_up(PAGE);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    ask();
    join(t);
    printf("done\n");
    return 0;
}
