/* no_thread.c: the kernel refuses threads (RLIMIT_NPROC). pthread_create says EAGAIN; and threads that exist go on even if
 * one of them is in a call that blocks.
 */
#include "check.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>

static char path[] = "/tmp/no_thread.XXXXXX";

static void limit(rlim_t n)
{
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_NPROC, &r) == 0);
    r.rlim_cur = n;
    CHECK(setrlimit(RLIMIT_NPROC, &r) == 0);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *take_lock(void *arg)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
    puts("taken");
    close(fd);
    return arg;
}

int main(void)
{
    struct rlimit was;
    pthread_t t;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    if (getuid() == 0) /* root has no such limit */
        CHECK(fchown(fd, 65531, 65531) == 0 && setresuid(65531, 65531, 65531) == 0);
    CHECK(getrlimit(RLIMIT_NPROC, &was) == 0);
    limit(1);
    CHECK(pthread_create(&t, NULL, nothing, NULL) == EAGAIN);
    limit(was.rlim_max);
    CHECK(pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK(pthread_create(&t, NULL, take_lock, NULL) == 0);
    limit(1);
    usleep(100000);
    puts("unlock");
    fflush(stdout);
    CHECK(flock(fd, LOCK_UN) == 0 && pthread_join(t, NULL) == 0);
    unlink(path);
    return 0;
}
