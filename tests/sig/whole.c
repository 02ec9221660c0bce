/* whole.c: signals that only one thread takes do not cut short what another does: a long write to a FIFO by name and to a
 * terminal. The other side is slow, and the signals come from a timer of the process. */
#include "../prog/check.h"
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>

#define LONG (1 << 19)

static atomic_int over, handled;
static char text[LONG];

static void count(int sig)
{
    (void)sig;
    handled++;
}

/* The only thread that does not block SIGALRM. */
static void *takes_signals(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    while (!over)
        pause();
    return arg;
}

static void *drains(void *arg)
{
    static char buf[1 << 14];
    while (read((int)(intptr_t)arg, buf, sizeof(buf)) > 0)
        usleep(500);
    return NULL;
}

static void write_long(const char *what, int to, int from)
{
    pthread_t t = start(drains, (void *)(intptr_t)from);
    ssize_t n = write(to, text, sizeof(text));
    if (n != sizeof(text))
        printf("%s: wrote %zd of %zu: %s\n", what, n, sizeof(text), n < 0 ? strerror(errno) : "cut short");
    close(to);
    join(t);
    close(from);
}

static void fifo(void)
{
    char path[] = "/tmp/whole.XXXXXX";
    CHECK(mkdtemp(path) && rmdir(path) == 0 && mkfifo(path, 0600) == 0);
    int from = open(path, O_RDONLY | O_NONBLOCK), to = open(path, O_WRONLY);
    CHECK(from >= 0 && to >= 0 && unlink(path) == 0 && fcntl(from, F_SETFL, 0) == 0);
    write_long("FIFO", to, from);
}

static void terminal(void)
{
    int from, to;
    struct termios t;
    CHECK(openpty(&from, &to, NULL, NULL, NULL) == 0 && tcgetattr(to, &t) == 0);
    cfmakeraw(&t);
    CHECK(tcsetattr(to, TCSANOW, &t) == 0);
    write_long("terminal", to, from);
}

int main(void)
{
    struct sigaction sa = { .sa_handler = count, .sa_flags = SA_RESTART };
    struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 && sigaction(SIGALRM, &sa, NULL) == 0);
    pthread_t t = start(takes_signals, NULL);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        fifo();
        terminal();
    }
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    over = 1;
    pthread_kill(t, SIGALRM);
    join(t);
    CHECK(handled > 100);
    puts("done");
    return 0;
}
