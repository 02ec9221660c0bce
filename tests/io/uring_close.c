/* uring_close.c: an io_uring closes descriptors on which threads have waited; their numbers are used anew. */
#include "iotest.h"
#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int ring;
static struct io_uring_params params;
static unsigned char *map;
static struct io_uring_sqe *entry;

static int ring_open(void)
{
    ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0)
        return 0;
    map = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
               IORING_OFF_SQ_RING);
    entry = mmap(NULL, 4 * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    CHECK(map != MAP_FAILED && (void *)entry != MAP_FAILED);
    return 1;
}

static void close_by_ring(int fd)
{
    unsigned *tail = (unsigned *)(map + params.sq_off.tail), i = *tail & 3;
    memset(&entry[i], 0, sizeof *entry);
    entry[i].opcode = IORING_OP_CLOSE;
    entry[i].fd = fd;
    ((unsigned *)(map + params.sq_off.array))[i] = i;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    CHECK(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
    __atomic_fetch_add((unsigned *)(map + params.cq_off.head), 1, __ATOMIC_RELEASE);
    CHECK(fcntl(fd, F_GETFD) == -1);
}

static void *reads(void *arg)
{
    uint64_t n;
    CHECK(read((int)(intptr_t)arg, &n, sizeof n) == sizeof n);
    return NULL;
}

static void round_of(int from, int to)
{
    pthread_t t = start(reads, (void *)(intptr_t)from);
    uint64_t n = 1;
    settle();
    CHECK(write(to, &n, sizeof n) == sizeof n);
    join(t);
    close_by_ring(from);
    if (to != from)
        close_by_ring(to);
}

int main(void)
{
    int s[2];
    join(start(reads, (void *)(intptr_t)eventfd(1, 0)));
    if (!ring_open())
        return 0; /* not permitted here */
    for (int i = 0; i < 3; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
        round_of(s[0], s[1]);
        CHECK(pipe(s) == 0);
        round_of(s[0], s[1]);
        s[0] = eventfd(0, 0);
        round_of(s[0], s[0]);
    }
    return 0;
}
