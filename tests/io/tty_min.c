/* tty_min.c: reads from a terminal that wants so many characters (VMIN) to be there: fewer are enough for who asks for fewer. */
#include "iotest.h"
#include <pty.h>
#include <termios.h>

#define MIN 5

static void *reads(void *arg)
{
    char buf[2 * MIN];
    int fd = ((int *)arg)[0], n = ((int *)arg)[1];
    struct iovec v[] = {{buf, 1}, {buf + 1, (size_t)n - 1}};
    CHECK(read(fd, buf, (size_t)n) == (n < MIN ? n : MIN));
    CHECK(readv(fd, v, 2) == (n < MIN ? n : MIN));
    return NULL;
}

int main(void)
{
    int to, from;
    struct termios t;
    CHECK(openpty(&to, &from, NULL, NULL, NULL) == 0 && tcgetattr(from, &t) == 0);
    cfmakeraw(&t);
    t.c_cc[VMIN] = MIN;
    CHECK(tcsetattr(from, TCSANOW, &t) == 0);
    for (int n = 2; n <= 2 * MIN; n += 2) {
        int arg[] = {from, n}, times = n < MIN ? n : MIN;
        pthread_t p = start(reads, arg);
        for (int i = 0; i < 2 * times; i++) {
            all_settle();
            CHECK(write(to, "x", 1) == 1);
        }
        join(p);
    }
    puts("done");
    return 0;
}
