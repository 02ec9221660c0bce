/* tid_address.c: the word that is cleared at a thread's exit can be asked for, moved and put back; join still works. */
#include "check.h"
#include <sys/prctl.h>
#include <sys/syscall.h>

#define N 50

static void *worker(void *arg)
{
    int *address = NULL, other = 0;
    if (prctl(PR_GET_TID_ADDRESS, &address) != 0) {
        CHECK(errno == EINVAL); /* a kernel without it */
        return arg;
    }
    CHECK(address && *address == gettid());
    CHECK(syscall(SYS_set_tid_address, &other) == gettid());
    int *now = NULL;
    CHECK(prctl(PR_GET_TID_ADDRESS, &now) == 0 && now == &other);
    CHECK(syscall(SYS_set_tid_address, address) == gettid());
    return arg;
}

int main(void)
{
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = start(worker, NULL);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    printf("joined %d\n", N);
    return 0;
}
