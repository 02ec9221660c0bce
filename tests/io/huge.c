/* huge.c: a call on a stream moves 0x7ffff000 bytes at most, whatever is asked for, in one part or in several; a negative
 * size is refused. */
#include "iotest.h"
#include <sys/mman.h>

enum { MAX = 0x7ffff000 };

static int s[2];
static volatile size_t negative = (size_t)-1;

static void *reads(void *arg)
{
    enum { SIZE = 1 << 20 };
    char *b = malloc(SIZE);
    CHECK(b != NULL);
    for (size_t done = 0; done < MAX;) {
        ssize_t n = read(s[1], b, SIZE);
        CHECK(n > 0);
        done += (size_t)n;
    }
    free(b);
    return arg;
}

static void *end_is_all(void *arg)
{
    char c;
    join(start(reads, NULL));
    CHECK(read(s[1], &c, 1) == 0);
    return arg;
}

int main(void)
{
    size_t size = 3UL << 30;
    char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    for (int parts = 1; parts <= 2; parts++) {
        struct iovec v[2] = { { p, size / 2 }, { p + size / 2, size / 2 } };
        struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        pthread_t t = start(end_is_all, NULL);
        CHECK((parts == 1 ? write(s[0], p, size) : sendmsg(s[0], &m, 0)) == MAX);
        CHECK(write(s[0], p, negative) < 0 && errno == EFAULT && read(s[0], p, negative) < 0 && errno == EFAULT);
        CHECK(shutdown(s[0], SHUT_WR) == 0);
        join(t);
        close(s[0]);
        close(s[1]);
    }
    return 0;
}
