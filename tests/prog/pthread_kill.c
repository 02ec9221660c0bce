/*
 * pthread_kill.c: a signal to a thread that is blocked: the handler runs in that thread, and the call ends with EINTR or
 * goes on, as signal(7) says, by SA_RESTART and by kind of call.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

static __thread int handled;
static int fds[2], epfd, done;
static sem_t sem;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void handler(int sig)
{
    CHECK(sig == SIGUSR1);
    handled++;
    errno = 12345; /* the C library gives the call's own errno nevertheless */
}

static void install(int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

static int call_sem_wait(void)
{
    return sem_wait(&sem);
}

static int call_sem_timedwait(void)
{
    struct timespec when = deadline(CLOCK_REALTIME, 60000);
    return sem_timedwait(&sem, &when);
}

static int call_read(void)
{
    char c;
    return (int)read(fds[0], &c, 1);
}

static int call_recv(void)
{
    char c;
    return (int)recv(fds[0], &c, 1, 0);
}

static int call_nanosleep(void)
{
    struct timespec asked = {60, 0}, left = {0, 0};
    int result = nanosleep(&asked, &left);
    int err = errno;
    CHECK(left.tv_sec >= 50 && left.tv_sec <= 60);
    errno = err;
    return result;
}

static int call_poll(void)
{
    struct pollfd pfd = {fds[0], POLLIN, 0};
    return poll(&pfd, 1, 60000);
}

static int call_select(void)
{
    struct timeval timeout = {60, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    return select(fds[0] + 1, &set, NULL, NULL, &timeout);
}

static int call_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(epfd, &event, 1, -1);
}

static int call_pause(void)
{
    return pause();
}

static void *interrupted(void *arg)
{
    int result = ((int (*)(void))arg)();
    CHECK(result == -1 && errno == EINTR && handled >= 1);
    __atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* The signal may come before the call: it is sent again until the call has ended. */
static void expect_eintr(const char *name, int (*call)(void))
{
    done = 0;
    pthread_t thread = start(interrupted, (void *)call);
    while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST)) {
        CHECK0(pthread_kill(thread, SIGUSR1));
        sleep_ms(1);
    }
    join(thread);
    printf("%s EINTR\n", name);
}

static int *handled_by_thread;

static void *restarted(void *arg)
{
    __atomic_store_n(&handled_by_thread, &handled, __ATOMIC_SEQ_CST);
    CHECK(((int (*)(void))arg)() >= 0);
    return NULL;
}

static int call_mutex_lock(void)
{
    CHECK0(pthread_mutex_lock(&lock));
    CHECK0(pthread_mutex_unlock(&lock));
    return 0;
}

/* Ten handlers run inside the call before it is fed and ends well. */
static void expect_restart(const char *name, int (*call)(void), void (*feed)(void))
{
    handled_by_thread = NULL;
    pthread_t thread = start(restarted, (void *)call);
    while (__atomic_load_n(&handled_by_thread, __ATOMIC_SEQ_CST) == NULL)
        sched_yield();
    while (__atomic_load_n(handled_by_thread, __ATOMIC_SEQ_CST) < 10) {
        CHECK0(pthread_kill(thread, SIGUSR1));
        sleep_ms(1);
    }
    feed();
    join(thread);
    printf("%s goes on\n", name);
}

static void feed_fd(void)
{
    CHECK(write(fds[1], "x", 1) == 1);
}

static void feed_sem(void)
{
    CHECK(sem_post(&sem) == 0);
}

static void feed_mutex(void)
{
    CHECK0(pthread_mutex_unlock(&lock));
}

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(sem_init(&sem, 0, 0) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK((epfd = epoll_create1(0)) >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, fds[0], &event) == 0);

    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        install(flags);
        printf("%s\n", flags ? "with SA_RESTART" : "without SA_RESTART");
        expect_eintr("nanosleep", call_nanosleep);
        expect_eintr("poll", call_poll);
        expect_eintr("select", call_select);
        expect_eintr("epoll_wait", call_epoll_wait);
        expect_eintr("pause", call_pause);
        expect_eintr("sem_timedwait", call_sem_timedwait);
        if (flags == 0) {
            expect_eintr("sem_wait", call_sem_wait);
            expect_eintr("read", call_read);
            expect_eintr("recv", call_recv);
        } else {
            expect_restart("sem_wait", call_sem_wait, feed_sem);
            expect_restart("read", call_read, feed_fd);
            expect_restart("recv", call_recv, feed_fd);
        }
        CHECK0(pthread_mutex_lock(&lock));
        expect_restart("mutex", call_mutex_lock, feed_mutex);
    }
    CHECK(handled == 0);
    return 0;
}
