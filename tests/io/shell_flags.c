/* shell_flags.c: standard input, output and error keep their flags: a program of several threads reads, polls and floods them
 * while its parent, the shell as it were, looks at the open files that it shares with it. A terminal, and pipes. */
#include "iotest.h"
#include <pty.h>
#include <sys/wait.h>

enum { FLOOD = 300000 };

static void *reads_line(void *arg)
{
    char buf[100];
    (void)arg;
    CHECK(read(0, buf, sizeof buf) == 2);
    return NULL;
}

static void *polls_for_ever(void *arg)
{
    struct pollfd p = { 0, POLLIN, 0 };
    (void)arg;
    for (;;)
        poll(&p, 1, 5000);
    return NULL;
}

static void *floods(void *arg)
{
    for (int n = 0; n < FLOOD; n += 1000)
        dprintf((int)(intptr_t)arg, "%0999d\n", n);
    return NULL;
}

/* What runs "in the shell". One thread still waits when it ends. */
static void program(void)
{
    pthread_t r = start(reads_line, NULL), o = start(floods, (void *)1), e = start(floods, (void *)2);
    join(r);
    join(o);
    join(e);
    pthread_detach(start(polls_for_ever, NULL));
    msleep(20);
    _exit(0);
}

static void round_of(const char *what, int in, int out, int write_end, int read_end, int terminal)
{
    int before[2] = { fcntl(in, F_GETFL), fcntl(out, F_GETFL) }, changed = 0, status = -1;
    long got = 0;
    char buf[4096];
    pid_t pid = fork();
    if (pid == 0) {
        close(write_end);
        if (read_end != write_end)
            close(read_end);
        CHECK(dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2);
        program();
    }
    for (int typed = 0;; typed++) {
        struct pollfd p = { read_end, POLLIN, 0 };
        if (typed == 3)
            CHECK(write(write_end, "x\n", 2) == 2);
        if (poll(&p, 1, 20) == 1) {
            long n = read(read_end, buf, sizeof buf);
            CHECK(n > 0);
            for (long i = 0; i < n; i++)
                got += buf[i] == '0' || (buf[i] >= '1' && buf[i] <= '9');
        } else if (waitpid(pid, &status, WNOHANG) == pid) {
            break;
        }
        changed += fcntl(in, F_GETFL) != before[0] || fcntl(out, F_GETFL) != before[1];
    }
    changed += fcntl(in, F_GETFL) != before[0] || fcntl(out, F_GETFL) != before[1];
    CHECK(terminal || got == 2 * (FLOOD / 1000) * 999);
    printf("%s: status %d, digits %ld, flags changed %d times\n", what, status, got, changed);
}

int main(void)
{
    int master, slave, in[2], out[2];
    setvbuf(stdout, NULL, _IONBF, 0);
    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    round_of("terminal", slave, slave, master, master, 1);
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    round_of("pipes", in[0], out[1], in[1], out[0], 0);
    return 0;
}
