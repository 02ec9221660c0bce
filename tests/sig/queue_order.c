/* queue_order.c: real-time signals that another process queues come in the order in which they were queued, to one thread that
 * waits for them, while others run on; those that a child of a fork gets, too. */
#include "../prog/check.h"
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define SENT 1500

static sigset_t all;
static atomic_int over;

static void *busy(void *arg)
{
    while (!over) {
        for (volatile int i = 0; i < 2000; i++)
            ;
        usleep(20);
    }
    return arg;
}

static void *takes(void *arg)
{
    static const char *const how[] = { "out of order", "in order" };
    int next[2] = { 0, 0 }, ordered = 1;
    for (int i = 0; i < 2 * SENT; i++) {
        siginfo_t info;
        int sig;
        do
            sig = sigwaitinfo(&all, &info);
        while (sig == -1 && errno == EINTR);
        CHECK(sig == SIGRTMIN + 3 || sig == SIGRTMIN + 4);
        CHECK(info.si_code == SI_QUEUE);
        ordered &= info.si_value.sival_int == next[sig - SIGRTMIN - 3]++;
    }
    printf("%s: %s\n", (const char *)arg, how[ordered]);
    fflush(stdout);
    return arg;
}

static void send_all(pid_t to)
{
    for (int i = 0; i < 2 * SENT; i++) {
        union sigval v = { .sival_int = i / 2 };
        while (sigqueue(to, SIGRTMIN + 3 + i % 2, v) != 0) {
            CHECK(errno == EAGAIN);
            sched_yield();
        }
    }
}

static void receive(const char *who)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = start(busy, NULL);
    pthread_t taker = start(takes, (void *)who);
    pid_t me = getpid(), sender = fork();
    if (sender == 0) {
        send_all(me);
        _exit(0);
    }
    int status = 0;
    CHECK(sender > 0 && waitpid(sender, &status, 0) == sender && status == 0);
    join(taker);
    over = 1;
    for (int i = 0; i < 3; i++)
        join(t[i]);
}

static void *forks(void *arg)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        over = 0;
        receive("child");
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    return arg;
}

int main(void)
{
    sigemptyset(&all);
    sigaddset(&all, SIGRTMIN + 3);
    sigaddset(&all, SIGRTMIN + 4);
    CHECK0(pthread_sigmask(SIG_BLOCK, &all, NULL));
    receive("process");
    join(start(forks, NULL));
    return 0;
}
