/* early_thread.c: threads made by a constructor before main, which go on during main and the atexit handlers. */
#include "check.h"
#include <semaphore.h>

static sem_t questions, answers;
static pthread_t thread;
static int asked;

static void *answer(void *arg)
{
    for (;;) {
        CHECK(sem_wait(&questions) == 0);
        if (asked < 0)
            return arg;
        asked++;
        CHECK(sem_post(&answers) == 0);
    }
}

static void ask(void)
{
    CHECK(sem_post(&questions) == 0);
    CHECK(sem_wait(&answers) == 0);
}

__attribute__((constructor)) static void before_main(void)
{
    CHECK(sem_init(&questions, 0, 0) == 0 && sem_init(&answers, 0, 0) == 0);
    thread = start(answer, NULL);
    ask();
}

static void at_exit(void)
{
    ask();
    asked = -asked;
    CHECK(sem_post(&questions) == 0);
    join(thread);
    printf("answered %d\n", -asked);
}

int main(void)
{
    CHECK(asked == 1);
    atexit(at_exit);
    for (int i = 0; i < 100; i++)
        ask();
    return 0;
}
