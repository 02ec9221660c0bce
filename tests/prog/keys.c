/* keys.c: thread-specific data: values per thread, destructors in order of the keys, repeated while they set values. */
#include "check.h"

#define KEYS 40 /* more than the 32 that a thread descriptor holds itself */

static pthread_key_t keys[KEYS];
static pthread_key_t again_key;
static int order[KEYS], destroyed, again_calls;

static void note(void *value)
{
    order[destroyed++] = (int)(intptr_t)value;
}

static void set_again(void *value)
{
    again_calls++;
    CHECK0(pthread_setspecific(again_key, value));
}

static void *fill(void *arg)
{
    for (int i = 0; i < KEYS; i++)
        CHECK(pthread_getspecific(keys[i]) == NULL);
    for (int i = KEYS - 1; i >= 0; i--)
        CHECK0(pthread_setspecific(keys[i], (void *)(intptr_t)(i + 1)));
    CHECK0(pthread_setspecific(again_key, arg));
    for (int i = 0; i < KEYS; i++)
        CHECK(pthread_getspecific(keys[i]) == (void *)(intptr_t)(i + 1));
    return NULL;
}

static pthread_key_t shared_key;

static void *own_value(void *arg)
{
    CHECK0(pthread_setspecific(shared_key, arg));
    for (int i = 0; i < 200; i++) {
        sched_yield();
        CHECK(pthread_getspecific(shared_key) == arg);
    }
    CHECK0(pthread_setspecific(shared_key, NULL));
    return NULL;
}

int main(void)
{
    for (int i = 0; i < KEYS; i++)
        CHECK0(pthread_key_create(&keys[i], note));
    CHECK0(pthread_key_create(&again_key, set_again));
    join(start(fill, keys));
    CHECK(destroyed == KEYS);
    for (int i = 0; i < KEYS; i++)
        CHECK(order[i] == i + 1);
    printf("%d destructors in order, one asked for %d rounds\n", destroyed, again_calls);

    pthread_t threads[20];
    CHECK0(pthread_key_create(&shared_key, NULL));
    for (intptr_t i = 0; i < 20; i++)
        threads[i] = start(own_value, (void *)(i + 1));
    for (int i = 0; i < 20; i++)
        join(threads[i]);
    CHECK(pthread_getspecific(shared_key) == NULL);

    for (int i = 0; i < KEYS; i++)
        CHECK0(pthread_key_delete(keys[i]));
    CHECK(pthread_setspecific(keys[0], &destroyed) == EINVAL);
    puts("keys deleted");
    return 0;
}
