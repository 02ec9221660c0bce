/* main_exit.c: main leaves by pthread_exit, the others go on; the process ends with the last one, with status 0. */
#include "check.h"
#include <semaphore.h>

static sem_t main_gone;
static pthread_key_t key;

static void main_is_leaving(void *value)
{
    CHECK(value == &key);
    sem_post(&main_gone);
}

static void at_exit(void)
{
    puts("atexit ran");
}

static void *goes_on(void *arg)
{
    pthread_t main_thread = *(pthread_t *)arg;
    CHECK(sem_wait(&main_gone) == 0);
    void *result;
    CHECK0(pthread_join(main_thread, &result));
    printf("main left with %d\n", (int)(intptr_t)result);
    join(start((void *(*)(void *))(void *)puts, "another thread after main"));
    sleep_ms(5);
    puts("the last one leaves");
    return NULL;
}

int main(void)
{
    static pthread_t self;
    atexit(at_exit);
    sem_init(&main_gone, 0, 0);
    CHECK0(pthread_key_create(&key, main_is_leaving));
    CHECK0(pthread_setspecific(key, &key));
    self = pthread_self();
    start(goes_on, &self);
    pthread_exit((void *)9);
}
