/* errno_switch.c: errno belongs to its thread and survives switches, also around calls that set it. */
#include "check.h"
#include <fcntl.h>

#define N 20
#define ROUNDS 1000

static void *worker(void *arg)
{
    int mine = 1000 + (int)(intptr_t)arg;
    int *address = &errno;
    for (int i = 0; i < ROUNDS; i++) {
        errno = mine;
        sched_yield();
        CHECK(errno == mine && &errno == address);
        switch ((i + mine) % 3) {
        case 0:
            CHECK_ERRNO(close(-1), EBADF);
            break;
        case 1:
            CHECK_ERRNO(open("/nonexistent/file", O_RDONLY), ENOENT);
            break;
        case 2:
            CHECK_ERRNO(fcntl(0, -1), EINVAL);
            break;
        }
        int seen = errno;
        sched_yield();
        CHECK(errno == seen);
    }
    return address;
}

int main(void)
{
    pthread_t threads[N];
    errno = 77;
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    CHECK(errno == 77);
    for (int i = 0; i < N; i++)
        CHECK(join(threads[i]) != &errno);
    CHECK(errno == 77);
    puts("errno kept");
    return 0;
}
