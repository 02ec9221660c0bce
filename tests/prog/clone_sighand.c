/* clone_sighand.c: a process of the program's own making that shares memory and signal actions (clone with CLONE_VM and
 * CLONE_SIGHAND, no thread). What it sets is set for both, what its own forked child sets is not.
 */
#include "check.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SHARED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD)

static char stack[64 << 10] __attribute__((aligned(16)));
static int ran[2], note[2];
static sigset_t seen;
static pid_t in;

static void first(int sig)
{
    (void)sig;
    ran[0]++;
}

static void second(int sig)
{
    (void)sig;
    ran[1]++;
    in = getpid();
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &seen) == 0);
    CHECK(write(note[1], "x", 1) == 1);
}

static void set(int sig, void (*handler)(int))
{
    struct sigaction sa = {.sa_handler = handler};
    CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void (*what(int sig))(int)
{
    struct sigaction sa;
    CHECK(sigaction(sig, NULL, &sa) == 0);
    return sa.sa_handler;
}

static int sharer(void *arg)
{
    CHECK(what(SIGUSR1) == first && what(SIGUSR2) == SIG_DFL);
    set(SIGUSR1, second);
    set(SIGUSR2, SIG_IGN);
    CHECK(what(SIGUSR1) == second && what(SIGUSR2) == SIG_IGN);
    pid_t pid = (pid_t)syscall(SYS_fork);
    if (pid == 0) {
        set(SIGUSR1, SIG_DFL);
        _exit(what(SIGUSR1) == SIG_DFL ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return arg == note ? 7 : 1;
}

static void *nothing(void *arg)
{
    return arg;
}

/* A signal from another process finds every thread asleep, unless the machine is very busy. */
static void interrupted(void)
{
    pid_t parent = getpid(), sender = fork();
    if (sender == 0) {
        nanosleep(&(struct timespec){0, 50 * NSEC_PER_MSEC}, NULL);
        _exit(kill(parent, SIGUSR1) == 0 && kill(parent, SIGUSR2) == 0 ? 0 : 1);
    }
    struct pollfd p = {note[0], POLLIN, 0};
    int n = poll(&p, 1, 20000), status;
    CHECK(n == 1 || (n == -1 && errno == EINTR));
    CHECK(ran[0] == 0 && ran[1] == 1 && in == getpid());
    CHECK(sigismember(&seen, SIGUSR1) && !sigismember(&seen, SIGUSR2));
    char c;
    CHECK(read(note[0], &c, 1) == 1);
    CHECK(waitpid(sender, &status, 0) == sender && status == 0);
}

/* Like vfork, and with its maker's actions. The child ends at once, without a word on the stack, which is its maker's. */
static void on_the_same_stack(void)
{
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    int status;
    long pid;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "mov %[exit], %%eax\n\t"
                     "mov $3, %%edi\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(pid)
                     : "a"(SYS_clone), "D"(SHARED | CLONE_VFORK), "S"(0), "d"(0), "r"(r10), "r"(r8), [exit] "i"(SYS_exit_group)
                     : "rcx", "r11", "memory");
    CHECK(pid > 0);
    CHECK(waitpid((pid_t)pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(void)
{
    pthread_t t;
    CHECK0(pthread_create(&t, NULL, nothing, NULL));
    CHECK0(pthread_join(t, NULL));
    CHECK(pipe(note) == 0);
    set(SIGUSR1, first);
    int status;
    pid_t pid = clone(sharer, stack + sizeof(stack), SHARED, note);
    CHECK(pid > 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(what(SIGUSR1) == second && what(SIGUSR2) == SIG_IGN);
    interrupted();
    set(SIGUSR1, first);
    CHECK(raise(SIGUSR1) == 0 && ran[0] == 1 && ran[1] == 1);
    on_the_same_stack();
    puts("shared");
    return 0;
}
