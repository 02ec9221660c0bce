/* hygiene.c: closing and doubling everything in reach does not hurt; nothing of ours is inherited or in the way. */
#include "iotest.h"
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int p[2];

static void *echoes(void *arg)
{
    char c;
    while (read(p[0], &c, 1) == 1 && c != 'q')
        ;
    return arg;
}

static void works(void)
{
    char c;
    CHECK(pipe(p) == 0);
    pthread_t t = start(echoes, NULL);
    for (int i = 0; i < 20; i++) {
        CHECK(write(p[1], "x", 1) == 1);
        sched_yield();
    }
    settle();
    CHECK(write(p[1], "q", 1) == 1);
    join(t);
    close(p[0]);
    close(p[1]);
    int s[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    struct pollfd f = { s[0], POLLIN, 0 };
    CHECK(poll(&f, 1, 10) == 0);
    close(s[0]);
    CHECK(read(s[1], &c, 1) == 0);
    close(s[1]);
}

int main(void)
{
    struct rlimit l;
    int a, b, status;
    getrlimit(RLIMIT_NOFILE, &l);
    works();
    closefrom(3);
    works();
    for (int fd = 3; fd < (int)l.rlim_cur && fd < 5000; fd++)
        close(fd);
    works();
    CHECK(close_range(3, ~0u, 0) == 0);
    works();
    CHECK_ERRNO(close_range(5, 3, 0), EINVAL);
    CHECK(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
    for (int fd = 3; fd < (int)l.rlim_cur && fd < 5000; fd++)
        dup2(1, fd);
    for (int fd = 3; fd < (int)l.rlim_cur && fd < 5000; fd++)
        close(fd);
    works();
    CHECK(pipe(p) == 0);
    a = dup(p[0]);
    b = fcntl(p[0], F_DUPFD, 10);
    CHECK(a == p[1] + 1 && b == 10);
    close(a);
    close(b);
    /* EMFILE is an error, not an end. */
    struct rlimit small = { (rlim_t)p[1] + 1, l.rlim_max };
    CHECK(setrlimit(RLIMIT_NOFILE, &small) == 0);
    int q[2];
    CHECK_ERRNO(pipe(q), EMFILE);
    CHECK_ERRNO(dup(0), EMFILE);
    pthread_t t = start(echoes, NULL);
    settle();
    CHECK(write(p[1], "q", 1) == 1);
    join(t);
    t = start(echoes, NULL);
    settle();
    close(p[0]); /* with a waiter, and no number to be had */
    CHECK(write(p[1], "q", 1) == 1);
    join(t);
    setrlimit(RLIMIT_NOFILE, &l);
    close(p[1]);
    /* What a program started from here has open. */
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 2 -a $n -ne 10 ] && echo inherited $n; done; exit 7",
              (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(!(fcntl(0, F_GETFL) & O_NONBLOCK) && !(fcntl(1, F_GETFL) & O_NONBLOCK) && !(fcntl(2, F_GETFL) & O_NONBLOCK));
    puts("hygiene ok");
    return 0;
}
