/* pshared_file.c: a futex in a mapped file is found by another process at another address. */
#include "futex.h"
#include <sys/mman.h>
#include <sys/wait.h>

#define ROUNDS 200

static uint32_t *map_file(int fd, void *hint)
{
    uint32_t *words = mmap(hint, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(words != MAP_FAILED);
    return words;
}

static void wait_for(uint32_t *word, uint32_t value)
{
    uint32_t seen;
    while ((seen = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != value)
        if (futex(word, FUTEX_WAIT, seen, NULL, NULL, 0) != 0)
            CHECK(errno == EAGAIN || errno == EINTR);
}

static void set(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    CHECK(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
}

static void *play(void *arg)
{
    uint32_t *words = arg;
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        set(&words[0], i);
        wait_for(&words[1], i);
    }
    return NULL;
}

int main(void)
{
    int fd = memfd_create("words", 0);
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    uint32_t *words = map_file(fd, NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        uint32_t *other = map_file(fd, NULL);
        CHECK(other != words && munmap(words, 4096) == 0);
        for (uint32_t i = 1; i <= ROUNDS; i++) {
            wait_for(&other[0], i);
            set(&other[1], i);
        }
        _exit(0);
    }
    join(start(play, words));
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    printf("rounds %u\n", words[1]);
    return 0;
}
