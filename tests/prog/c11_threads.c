/* c11_threads.c: <threads.h>: thrd, mtx, cnd, tss, call_once, thread_local. */
#include "check.h"
#include <threads.h>

#define N 10

static mtx_t lock;
static cnd_t changed;
static tss_t key;
static once_flag flag = ONCE_FLAG_INIT;
static int initialised, arrived, destroyed;
static thread_local int mine = 5;

static void init(void)
{
    initialised++;
}

static void destroy(void *value)
{
    (void)value;
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static int worker(void *arg)
{
    int id = *(int *)arg;
    call_once(&flag, init);
    CHECK(mine == 5);
    mine += id;
    CHECK(tss_set(key, arg) == thrd_success);
    CHECK(mtx_lock(&lock) == thrd_success);
    if (++arrived == N)
        CHECK(cnd_broadcast(&changed) == thrd_success);
    while (arrived < N)
        CHECK(cnd_wait(&changed, &lock) == thrd_success);
    CHECK(mtx_unlock(&lock) == thrd_success);
    thrd_yield();
    CHECK(tss_get(key) == arg && mine == 5 + id);
    if (id % 2)
        thrd_exit(id * id);
    return id * id;
}

int main(void)
{
    thrd_t threads[N];
    int ids[N], result, sum = 0;
    CHECK(mtx_init(&lock, mtx_timed) == thrd_success);
    CHECK(cnd_init(&changed) == thrd_success);
    CHECK(tss_create(&key, destroy) == thrd_success);
    for (int i = 0; i < N; i++) {
        ids[i] = i;
        CHECK(thrd_create(&threads[i], worker, &ids[i]) == thrd_success);
    }
    for (int i = 0; i < N; i++) {
        CHECK(thrd_join(threads[i], &result) == thrd_success);
        sum += result;
    }
    CHECK(initialised == 1 && destroyed == N && mine == 5);

    struct timespec when = deadline(CLOCK_REALTIME, 10);
    CHECK(mtx_lock(&lock) == thrd_success);
    CHECK(cnd_timedwait(&changed, &lock, &when) == thrd_timedout);
    when = deadline(CLOCK_REALTIME, 10);
    CHECK(mtx_trylock(&lock) == thrd_busy);
    CHECK(mtx_timedlock(&lock, &when) == thrd_timedout);
    CHECK(mtx_unlock(&lock) == thrd_success);
    when = timespec_of(2 * NSEC_PER_MSEC);
    CHECK(thrd_sleep(&when, NULL) == 0);
    printf("sum %d\n", sum);
    return 0;
}
