/* address_limit.c: under RLIMIT_AS (ulimit -v) threads are made until address space runs out; then pthread_create says
 * EAGAIN, and once they are gone as many can be made again. */
#include "check.h"
#include <sys/resource.h>

#define MOST 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t leave = PTHREAD_COND_INITIALIZER;
static int leaving;

static void *lives(void *arg)
{
    CHECK0(pthread_mutex_lock(&lock));
    while (!leaving)
        CHECK0(pthread_cond_wait(&leave, &lock));
    CHECK0(pthread_mutex_unlock(&lock));
    return arg;
}

static int fill(void)
{
    static pthread_t threads[MOST];
    int n = 0, err = 0;
    leaving = 0;
    while (n < MOST && (err = pthread_create(&threads[n], NULL, lives, NULL)) == 0)
        n++;
    CHECK(n < MOST && err == EAGAIN);
    CHECK0(pthread_mutex_lock(&lock));
    leaving = 1;
    CHECK0(pthread_mutex_unlock(&lock));
    CHECK0(pthread_cond_broadcast(&leave));
    for (int i = 0; i < n; i++)
        join(threads[i]);
    return n;
}

int main(void)
{
    struct rlimit limit = { 1 << 30, 1 << 30 };
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    int first = fill();
    for (int i = 0; i < 3; i++)
        CHECK(fill() >= first - 1);
    puts(first >= 90 ? "at least 90 threads in 1 GiB" : "fewer than 90 threads in 1 GiB");
    return 0;
}
