/* no_room.c: without address space the first pthread_create says EAGAIN; it does not end the program. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>

static void *nothing(void *arg)
{
    return arg;
}

int main(void)
{
    struct rlimit limit = {10 << 20, 10 << 20};
    pthread_t t;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    while (mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        ;
    CHECK(pthread_create(&t, NULL, nothing, NULL) == EAGAIN);
    puts("no room");
    return 0;
}
