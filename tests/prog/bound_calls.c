/*
 * bound_calls.c: many more threads in blocking system calls than there may be kernel threads.
 *
 * Under preloom it runs with a small bound. Whoever computes must go on beside the blocked ones; a call that would not
 * block must be made though many wait that do; a call that waits its turn must end with EINTR as if it had been made; and
 * those that wait for each other must meet, in whatever order they came.
 */
#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LOCKERS 200
#define PAIRS 40
#define SYNCERS 40

static char dir[64] = "/tmp/bound.XXXXXX", path[96];
static int locked, interrupted;

static int open_file(void)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    return fd;
}

static void *locker(void *arg)
{
    int fd = open_file();
    (void)arg;
    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK(++locked <= LOCKERS); /* the file's lock protects it */
    CHECK(flock(fd, LOCK_UN) == 0);
    close(fd);
    return NULL;
}

static void *compute(void *arg)
{
    uint32_t state = 1;
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < 1000; k++)
            random_next(&state);
        if (i % 20 == 0)
            sleep_ms(1);
        else
            sched_yield();
    }
    return arg;
}

static void compute_beside(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        t[i] = start(compute, NULL);
    for (int i = 0; i < 4; i++)
        join(t[i]);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void *interrupted_locker(void *arg)
{
    int fd = open_file();
    CHECK_ERRNO(flock(fd, LOCK_EX), EINTR);
    __atomic_store_n(&interrupted, 1, __ATOMIC_SEQ_CST);
    close(fd);
    return arg;
}

static void locks(void)
{
    static pthread_t t[LOCKERS];
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &sa, NULL);
    int fd = open_file(), other = open_file();
    CHECK(flock(fd, LOCK_EX) == 0);
    for (int i = 0; i < LOCKERS; i++)
        t[i] = start(locker, NULL);
    compute_beside();
    CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    pthread_t last = start(interrupted_locker, NULL);
    while (!__atomic_load_n(&interrupted, __ATOMIC_SEQ_CST)) {
        sleep_ms(5);
        CHECK0(pthread_kill(last, SIGUSR1));
    }
    join(last);
    CHECK(flock(fd, LOCK_UN) == 0);
    for (int i = 0; i < LOCKERS; i++)
        join(t[i]);
    CHECK(locked == LOCKERS);
    close(fd);
    close(other);
    puts("locks");
}

static void fifo_name(char *name, long i)
{
    sprintf(name, "%s/fifo%ld", dir, i);
}

static void *reader(void *arg)
{
    char name[96], c = 0;
    fifo_name(name, (long)arg);
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(read(fd, &c, 1) == 1 && c == 'a' + (long)arg % 26);
    close(fd);
    return NULL;
}

static void *writer(void *arg)
{
    char name[96], c = (char)('a' + (long)arg % 26);
    fifo_name(name, (long)arg);
    int fd = open(name, O_WRONLY);
    CHECK(fd >= 0);
    CHECK(write(fd, &c, 1) == 1);
    close(fd);
    return NULL;
}

static void fifos(void)
{
    static pthread_t r[PAIRS], w[PAIRS];
    char name[96];
    for (long i = 0; i < PAIRS; i++) {
        fifo_name(name, i);
        CHECK(mkfifo(name, 0600) == 0);
        r[i] = start(reader, (void *)i);
    }
    compute_beside();
    for (long i = PAIRS - 1; i >= 0; i--)
        w[i] = start(writer, (void *)i);
    for (long i = 0; i < PAIRS; i++) {
        join(r[i]);
        join(w[i]);
        fifo_name(name, i);
        unlink(name);
    }
    puts("fifos");
}

static void *syncer(void *arg)
{
    int fd = open_file();
    for (int i = 0; i < 3; i++) {
        CHECK(pwrite(fd, &i, sizeof i, (long)arg * 8) == sizeof i);
        CHECK(fsync(fd) == 0);
    }
    close(fd);
    return NULL;
}

static void *waiter(void *arg)
{
    int status;
    CHECK(waitpid(*(pid_t *)arg, &status, 0) == *(pid_t *)arg);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    return NULL;
}

static void rest(void)
{
    static pthread_t s[SYNCERS], w[16];
    static pid_t pid[16];
    int fd[2];
    char c;
    CHECK(pipe(fd) == 0);
    for (int i = 0; i < 16; i++) {
        pid[i] = fork();
        CHECK(pid[i] >= 0);
        if (pid[i] == 0) {
            close(fd[1]);
            _exit(read(fd[0], &c, 1) == 0 ? 7 : 1);
        }
        w[i] = start(waiter, &pid[i]);
    }
    for (long i = 0; i < SYNCERS; i++)
        s[i] = start(syncer, (void *)i);
    for (int i = 0; i < SYNCERS; i++)
        join(s[i]);
    compute_beside();
    close(fd[1]);
    for (int i = 0; i < 16; i++)
        join(w[i]);
    puts("files and processes");
}

int main(void)
{
    CHECK(mkdtemp(dir));
    sprintf(path, "%s/file", dir);
    locks();
    fifos();
    rest();
    unlink(path);
    CHECK(rmdir(dir) == 0);
    return 0;
}
