/* stress_tls.c: thread-local data, errno and stack contents across very many switches. The argument is SEED [YIELDS]. */
#include "check.h"

#define N 20

static long yields_each;
static __thread uint64_t local;
static __thread char block[512];
static pthread_key_t key;

static void *worker(void *arg)
{
    uint32_t state = (uint32_t)(intptr_t)arg;
    uint64_t on_stack[16], *address = &local;
    pthread_t self = pthread_self();
    CHECK0(pthread_setspecific(key, arg));
    for (long i = 0; i < yields_each; i++) {
        uint32_t r = random_next(&state);
        local = r;
        errno = (int)(r % 4000);
        block[r % sizeof block] = (char)i;
        on_stack[i % 16] = r;
        if (r % 256 == 0) {
            struct timespec ts = {0, 1};
            nanosleep(&ts, NULL);
        } else {
            sched_yield();
        }
        CHECK(local == r && &local == address);
        CHECK(errno == (int)(r % 4000));
        CHECK(block[r % sizeof block] == (char)i && on_stack[i % 16] == r);
        if (i % 64 == 0)
            CHECK(pthread_getspecific(key) == arg && pthread_equal(self, pthread_self()));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[N];
    uint32_t seed = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    yields_each = (argc > 2 ? strtol(argv[2], NULL, 10) : 200000) / N;
    printf("seed %u\n", seed);
    CHECK0(pthread_key_create(&key, NULL));
    for (int i = 0; i < N; i++)
        threads[i] = start(worker, (void *)(intptr_t)(seed * 1000 + (uint32_t)i + 1));
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("each kept its own");
    return 0;
}
