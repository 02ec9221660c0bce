/*
 * stress_beside.c: threads wait for what another process sends, through pipes, a socket and semaphores in shared memory, beside
 * threads that compute for some milliseconds, then sleep, and so keep all processors busy or leave one idle by turns.
 *
 * Whoever watches the descriptors at the moment, it must see each event, and each call that comes back must get a processor: an
 * answer that is not noticed makes it hang.
 */
#include "stress.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PAIRS 4 /* of pipes; the last is a socket pair */
#define MESSENGERS 2
#define COMPUTING 3
#define THREADS (PAIRS + MESSENGERS + COMPUTING)

static struct shared {
    sem_t asked, answered;
    uint64_t value; /* 0: the end */
} *shared;

static int to[PAIRS], from[PAIRS]; /* this process's ends */
static int answers[PAIRS + MESSENGERS];

static void echo_bytes(const int in[PAIRS], const int out[PAIRS])
{
    struct pollfd p[PAIRS];
    for (int i = 0; i < PAIRS; i++)
        p[i] = (struct pollfd){.fd = in[i], .events = POLLIN};
    for (int open = PAIRS; open;) {
        CHECK(poll(p, PAIRS, -1) > 0);
        for (int i = 0; i < PAIRS; i++) {
            uint64_t value;
            if (p[i].fd < 0 || !p[i].revents)
                continue;
            if (read(in[i], &value, sizeof value) == sizeof value) {
                CHECK(write(out[i], &value, sizeof value) == sizeof value);
                continue;
            }
            p[i].fd = -1;
            open--;
        }
    }
    _exit(0);
}

static void await(sem_t *sem)
{
    while (sem_wait(sem) != 0)
        CHECK(errno == EINTR);
}

static void answer(struct shared *m)
{
    for (;;) {
        await(&m->asked);
        if (!m->value)
            _exit(0);
        m->value++;
        CHECK(sem_post(&m->answered) == 0);
    }
}

static void rest(uint32_t *state)
{
    uint32_t r = random_next(state);
    if (r % 3 == 0)
        usleep((useconds_t)(r >> 8) % 5000);
}

static void *ask_by_bytes(void *arg)
{
    int me = (int)(intptr_t)arg;
    uint32_t state = stress_random(me);
    for (uint64_t n = 0, got = 0; n == 0 || !stress_over(); n++) {
        CHECK(write(to[me], &n, sizeof n) == sizeof n);
        CHECK(read(from[me], &got, sizeof got) == sizeof got && got == n);
        answers[me]++;
        rest(&state);
    }
    close(to[me]);
    return NULL;
}

static void *ask_by_semaphore(void *arg)
{
    int me = (int)(intptr_t)arg;
    struct shared *m = &shared[me - PAIRS];
    uint32_t state = stress_random(me);
    for (uint64_t n = 1; n == 1 || !stress_over(); n++) {
        m->value = n;
        CHECK(sem_post(&m->asked) == 0);
        await(&m->answered);
        CHECK(m->value == n + 1);
        answers[me]++;
        rest(&state);
    }
    m->value = 0;
    CHECK(sem_post(&m->asked) == 0);
    return NULL;
}

static void *compute(void *arg)
{
    uint32_t state = stress_random((int)(intptr_t)arg), x = 1;
    while (!stress_over()) {
        int64_t until = now_ns(CLOCK_MONOTONIC) + (int64_t)(random_next(&state) % 20) * NSEC_PER_MSEC;
        while (now_ns(CLOCK_MONOTONIC) < until)
            for (int i = 0; i < 10000; i++)
                x = x % 3 ? x * 1664525 + 1013904223 : x ^ 0x5bd1e995;
        rest(&state);
    }
    return (void *)(uintptr_t)(x | 1);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int in[PAIRS], out[PAIRS];
    pid_t children[1 + MESSENGERS];
    stress_begin(argc, argv, 1000);
    shared = mmap(NULL, MESSENGERS * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (int i = 0; i < MESSENGERS; i++) {
        CHECK(sem_init(&shared[i].asked, 1, 0) == 0 && sem_init(&shared[i].answered, 1, 0) == 0);
        CHECK((children[1 + i] = fork()) >= 0);
        if (!children[1 + i])
            answer(&shared[i]);
    }
    for (int i = 0; i < PAIRS; i++) {
        int a[2], b[2];
        if (i == PAIRS - 1) {
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);
            b[0] = dup(a[1]);
            b[1] = dup(a[0]);
            CHECK(b[0] >= 0 && b[1] >= 0);
        } else {
            CHECK(pipe(a) == 0 && pipe(b) == 0);
        }
        in[i] = a[0], to[i] = a[1], from[i] = b[0], out[i] = b[1];
    }
    CHECK((children[0] = fork()) >= 0);
    if (!children[0]) {
        for (int i = 0; i < PAIRS; i++) {
            close(to[i]);
            close(from[i]);
        }
        echo_bytes(in, out);
    }
    for (int i = 0; i < PAIRS; i++) {
        close(in[i]);
        close(out[i]);
    }
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(i < PAIRS ? ask_by_bytes : i < PAIRS + MESSENGERS ? ask_by_semaphore : compute, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    for (int i = 0; i < PAIRS; i++)
        close(from[i]);
    for (int i = 0; i < 1 + MESSENGERS; i++)
        CHECK(waitpid(children[i], NULL, 0) == children[i]);
    for (int i = 0; i < PAIRS + MESSENGERS; i++)
        CHECK(answers[i] > 0);
    printf("each answer came\n");
    return 0;
}
