/* tid_as_pid.c: calls that want the id of a process take that of any of its threads and mean the process. */
#include "check.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

static volatile sig_atomic_t ran;

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    ran += info->si_code == SI_QUEUE ? info->si_value.sival_int : 1;
}

static void calls(pid_t tid)
{
    struct rlimit a, b;
    CHECK(getpgid(tid) == getpgid(0) && getsid(tid) == getsid(0));
    CHECK(prlimit(tid, RLIMIT_NOFILE, NULL, &a) == 0 && getrlimit(RLIMIT_NOFILE, &b) == 0);
    CHECK(a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max);
    char from[] = "what the process has", to[sizeof(from)] = "";
    struct iovec l = {to, sizeof(to)}, r = {from, sizeof(from)};
    CHECK(process_vm_readv(tid, &l, 1, &r, 1, 0) == sizeof(to) && strcmp(to, from) == 0);
    to[0] = 'W';
    CHECK(process_vm_writev(tid, &l, 1, &r, 1, 0) == sizeof(to) && from[0] == 'W');
    CHECK(kill(tid, 0) == 0);
    CHECK_ERRNO(kill(tid, 1000), EINVAL);
    ran = 0;
    CHECK(kill(tid, SIGUSR1) == 0 && ran == 1);
    CHECK(sigqueue(tid, SIGUSR1, (union sigval){.sival_int = 10}) == 0 && ran == 11);
}

static void *thread(void *arg)
{
    CHECK0(pthread_sigmask(SIG_UNBLOCK, arg, NULL));
    calls(gettid());
    calls(getpid());
    return arg;
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    pthread_t t;
    sigset_t usr, old;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    CHECK0(pthread_sigmask(SIG_BLOCK, &usr, &old)); /* here, so that the thread has taken them when its call returns */
    CHECK0(pthread_create(&t, NULL, thread, &usr));
    CHECK0(pthread_join(t, NULL));
    CHECK0(pthread_sigmask(SIG_SETMASK, &old, NULL));
    calls(gettid());
    CHECK_ERRNO(kill(0x3ffffff0, 0), ESRCH);
    puts("the process");
    return 0;
}
