/* tls.c: __thread variables start with their initial value in each thread, belong to it alone, and survive switches. */
#include "check.h"
#include <sched.h>

#define N 50
#define BIG (256 << 10)

static __thread int number = 17;
static __thread int zero;
static __thread char text[32] = "initial";
static __thread char big[BIG];
static __thread struct {
    char c;
    _Alignas(64) long aligned;
} odd = {1, 2};

static void *worker(void *arg)
{
    int id = (int)(intptr_t)arg;
    CHECK(number == 17 && zero == 0 && strcmp(text, "initial") == 0);
    CHECK(odd.c == 1 && odd.aligned == 2 && (uintptr_t)&odd.aligned % 64 == 0);
    for (int i = 0; i < BIG; i += 4096)
        CHECK(big[i] == 0);

    int *address = &number;
    for (int round = 0; round < 100; round++) {
        number = id * 1000 + round;
        zero = -id;
        snprintf(text, sizeof text, "thread %d", id);
        memset(big + round, id, 512);
        sched_yield();
        char want[32];
        snprintf(want, sizeof want, "thread %d", id);
        CHECK(number == id * 1000 + round && zero == -id && strcmp(text, want) == 0);
        CHECK(big[round + 511] == (char)id && address == &number);
    }
    return address;
}

int main(void)
{
    pthread_t threads[N];
    number = 1;
    strcpy(text, "main's");
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        CHECK(join(threads[i]) != &number);
    CHECK(number == 1 && strcmp(text, "main's") == 0 && big[0] == 0);
    puts("each thread had its own");
    return 0;
}
