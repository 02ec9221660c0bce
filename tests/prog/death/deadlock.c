/* deadlock.c: two threads take two mutexes in opposite order and main joins them: nothing can ever go on. */
#include "../check.h"

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, two = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *worker(void *arg)
{
    pthread_mutex_t *first = arg ? &one : &two, *second = arg ? &two : &one;
    CHECK0(pthread_mutex_lock(first));
    pthread_barrier_wait(&both);
    CHECK0(pthread_mutex_lock(second));
    return NULL;
}

int main(void)
{
    CHECK0(pthread_barrier_init(&both, NULL, 2));
    puts("about to deadlock");
    fflush(stdout);
    pthread_t a = start(worker, NULL), b = start(worker, &both);
    join(a);
    join(b);
    puts("not reached");
    return 0;
}
