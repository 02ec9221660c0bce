/* receive_ends.c: where receiving calls that wait for so much end early: at urgent data, at an error, which is kept for the next call, at a
 * timeout also where nothing can be polled; and where they do not: another thread closes the descriptor, SO_PASSSEC is set. */
#include "iotest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PART 100
#define ALL (3 * PART)

#ifndef SO_PASSSEC
#define SO_PASSSEC 34
#endif

static int s[2]; /* s[0] receives */
static char buf[3][ALL];

static void make(int tcp)
{
    if (tcp)
        tcp_pair(s);
    else
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
}

static void unmake(void)
{
    close(s[0]);
    close(s[1]);
}

static void option(int name, int value)
{
    CHECK(setsockopt(s[0], SOL_SOCKET, name, &value, sizeof value) == 0);
}

static ssize_t message(int flags)
{
    struct iovec v = { buf[0], ALL };
    struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
    return recvmsg(s[0], &h, flags);
}

static int messages(unsigned len[3], int flags)
{
    struct iovec v[3];
    struct mmsghdr m[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){ buf[i], ALL };
        m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
    }
    int n = recvmmsg(s[0], m, 3, flags, NULL);
    for (int i = 0; i < 3; i++)
        len[i] = m[i].msg_len;
    return n;
}

/* --- urgent data --- */

static void *sends_urgent(void *arg)
{
    static const char rest[ALL];
    settle();
    CHECK(send(s[1], "aaaa", 4, 0) == 4);
    settle();
    CHECK(send(s[1], "bb!", 3, MSG_OOB) == 3);
    settle();
    CHECK(send(s[1], rest, ALL, 0) == ALL);
    return arg;
}

static void urgent(int tcp, int with_message)
{
    make(tcp);
    pthread_t t = start(sends_urgent, NULL);
    CHECK((with_message ? message(MSG_WAITALL) : recv(s[0], buf[0], ALL, MSG_WAITALL)) == 6);
    join(t);
    unmake();
}

/* --- errors --- */

static void *sends_and_resets(void *arg)
{
    static const char part[PART];
    const struct linger at_once = { 1, 0 };
    for (int i = 0; i < *(int *)arg; i++) {
        settle();
        CHECK(send(s[1], part, PART, 0) == PART);
    }
    settle();
    CHECK(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0 && close(s[1]) == 0);
    return arg;
}

static void reset(int tcp, int parts)
{
    unsigned len[3];
    make(tcp);
    if (!tcp)
        CHECK(write(s[0], "x", 1) == 1); /* what is lost makes it an error */
    pthread_t t = start(sends_and_resets, &parts);
    CHECK(messages(len, MSG_WAITALL) == (parts + 2) / 3 && len[0] == ALL);
    join(t);
    CHECK_ERRNO(recv(s[0], buf[0], 1, 0), ECONNRESET);
    close(s[0]);
}

/* It is told before what is there to be received. */
static void reset_before(void)
{
    unsigned len[3];
    int parts = 1;
    make(1);
    join(start(sends_and_resets, &parts));
    settle();
    CHECK_ERRNO(messages(len, MSG_WAITALL), ECONNRESET);
    CHECK(recv(s[0], buf[0], ALL, 0) == PART);
    close(s[0]);
}

/* --- the number becomes another file --- */

static void *replaces(void *arg)
{
    static const char rest[2 * ALL];
    settle();
    CHECK(close(s[0]) == 0 && fcntl(*(int *)arg, F_DUPFD, s[0]) == s[0]);
    settle();
    CHECK(send(s[1], rest, PART, 0) == PART);
    settle();
    CHECK(send(s[1], rest, 2 * ALL - PART, 0) == 2 * ALL - PART);
    settle();
    CHECK(shutdown(s[1], SHUT_WR) == 0);
    return arg;
}

static void replaced(int tcp)
{
    unsigned len[3];
    int other[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, other) == 0 && write(other[1], "other", 5) == 5);
    make(tcp);
    pthread_t t = start(replaces, other);
    CHECK(messages(len, MSG_WAITALL) == 3 && len[0] == ALL && len[1] == ALL && len[2] == 0 && buf[1][0] == 0);
    join(t);
    CHECK(read(other[0], buf[0], ALL) == 5);
    unmake();
    close(other[0]);
    close(other[1]);
}

/* --- SO_PASSSEC: there is no room for what does not come --- */

static void *sends(void *arg)
{
    static const char part[PART];
    for (int i = 0; i < 3; i++) {
        settle();
        CHECK(send(s[1], part, PART, 0) == PART);
    }
    return arg;
}

static void security(int low)
{
    make(0);
    option(SO_PASSSEC, 1);
    if (low)
        option(SO_RCVLOWAT, ALL);
    pthread_t t = start(sends, NULL);
    CHECK(recv(s[0], buf[0], ALL, low ? 0 : MSG_WAITALL) == ALL);
    join(t);
    unmake();
}

/* --- nothing can be polled --- */

static void no_epoll(int tcp)
{
    struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 0, 1),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
    struct sock_fprog p = { sizeof f / sizeof *f, f };
    const struct timeval soon = { 0, 50000 };
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        make(0);
        CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
        CHECK_ERRNO(recv(s[0], buf[0], ALL, 0), EAGAIN);
        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
        make(tcp);
        CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
        CHECK_ERRNO(recv(s[0], buf[0], ALL, MSG_WAITALL), EAGAIN);
        CHECK_ERRNO(message(MSG_WAITALL), EAGAIN);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    alarm(100);
    for (int tcp = 0; tcp < 2; tcp++) {
        urgent(tcp, 0);
        urgent(tcp, 1);
        reset(tcp, 3);
        reset(tcp, 6);
        replaced(tcp);
        security(tcp);
        no_epoll(tcp);
    }
    reset(1, 4);
    reset_before();
    puts("done");
    return 0;
}
