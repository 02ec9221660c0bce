/* awaited_masks.c: the signal masks of io_pgetevents and io_uring_enter are in force while these wait, and for the handler that ends
 * the wait. */
#include "iotest.h"
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

static aio_context_t aio;
static int ring = -1;
static atomic_int handled;
static sigset_t usr, none;
static pthread_t target;

static void handler(int sig)
{
    (void)sig;
    atomic_fetch_add(&handled, 1);
}

enum how { Aio, Aio_for, Ring, Ring_for, Ring_until };
static const char *const names[] = { "io_pgetevents", "io_pgetevents for 0.3 s", "io_uring_enter", "io_uring_enter for 0.3 s",
                                     "io_uring_enter until" };

static long waits(enum how how, const sigset_t *mask)
{
    struct {
        const sigset_t *mask;
        size_t size;
    } sig = { mask, 8 };
    struct timespec ts = { 0, 300000000 };
    struct io_event event;
    struct io_uring_getevents_arg arg = { .sigmask = (uintptr_t)mask, .sigmask_sz = 8 };
    switch (how) {
    case Aio:
        return syscall(SYS_io_pgetevents, aio, 1L, 1L, &event, NULL, &sig);
    case Aio_for:
        return syscall(SYS_io_pgetevents, aio, 1L, 1L, &event, &ts, &sig);
    case Ring:
        return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, mask, 8L);
    case Ring_for:
        arg.ts = (uintptr_t)&ts;
        /* fall through */
    default:
        return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg);
    }
}

static void tell(const char *what, enum how how, long n)
{
    sigset_t now, pending;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigpending(&pending) == 0);
    printf("%s, %s: %s, handled %d, %s%s\n", names[how], what, n < 0 ? strerror(errno) : n ? "some" : "none",
           atomic_exchange(&handled, 0), sigismember(&now, SIGUSR1) ? "blocked" : "not blocked",
           sigismember(&pending, SIGUSR1) ? ", pending" : "");
}

static void *kills(void *arg)
{
    all_settle();
    CHECK(pthread_kill(target, SIGUSR1) == 0);
    return arg;
}

/* What is blocked otherwise ends the wait. */
static void let_through(enum how how)
{
    CHECK(pthread_sigmask(SIG_BLOCK, &usr, NULL) == 0);
    CHECK(pthread_kill(target, SIGUSR1) == 0);
    tell("pending", how, waits(how, &none));
    if (how != Aio_for && how != Ring_for) {
        pthread_t t = start(kills, NULL);
        long n = waits(how, &none);
        int err = errno;
        join(t);
        errno = err;
        tell("let through", how, n);
    }
    CHECK(pthread_sigmask(SIG_UNBLOCK, &usr, NULL) == 0);
}

static void *kills_early(void *arg)
{
    msleep(50);
    CHECK(pthread_kill(target, SIGUSR1) == 0);
    return arg;
}

/* What is not blocked otherwise comes when it is over. */
static void keep_out(enum how how)
{
    pthread_t t = start(kills_early, NULL);
    int64_t begin = now_ms();
    long n = waits(how, &usr);
    int err = errno;
    CHECK(now_ms() - begin >= 290);
    join(t);
    errno = err;
    tell("kept out", how, n);
}

/* What is there is told, and what is pending handled under the other mask. */
static void something_there(void)
{
    int pipes[2];
    struct iocb cb = { .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN }, *list = &cb;
    char byte;
    CHECK(pipe(pipes) == 0);
    cb.aio_fildes = (unsigned)pipes[0];
    for (enum how how = Aio; how <= Aio_for; how++) {
        CHECK(write(pipes[1], "x", 1) == 1);
        CHECK(syscall(SYS_io_submit, aio, 1L, &list) == 1);
        tell("something there", how, waits(how, &usr));
        CHECK(read(pipes[0], &byte, 1) == 1);
        CHECK(pthread_sigmask(SIG_BLOCK, &usr, NULL) == 0);
        CHECK(pthread_kill(target, SIGUSR1) == 0);
        CHECK(write(pipes[1], "x", 1) == 1);
        CHECK(syscall(SYS_io_submit, aio, 1L, &list) == 1);
        tell("both", how, waits(how, &none));
        CHECK(read(pipes[0], &byte, 1) == 1);
        CHECK(pthread_sigmask(SIG_UNBLOCK, &usr, NULL) == 0);
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void wrong(enum how how)
{
    tell("no mask", how, waits(how, (const sigset_t *)16));
}

static void all_of(enum how how)
{
    let_through(how);
    if (how == Aio_for || how == Ring_for)
        keep_out(how);
    wrong(how);
}

int main(void)
{
    struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
    struct io_uring_params p = { 0 };
    target = pthread_self();
    sigemptyset(&none);
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    join(start(nothing, NULL));
    alarm(60);
    if (syscall(SYS_io_setup, 4, &aio) == 0) {
        all_of(Aio);
        all_of(Aio_for);
        something_there();
    }
    ring = (int)syscall(SYS_io_uring_setup, 4, &p);
    for (enum how how = Ring; ring >= 0 && how <= Ring_until; how++)
        all_of(how);
    return 0;
}
