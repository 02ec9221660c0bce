/* strict_mode.c: seccomp's strict mode is refused with a line, by either call, and the program goes on. */
#include "../check.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void *asks(void *arg)
{
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL) == -1 && errno == EINVAL);
    return arg;
}

int main(void)
{
    join(start(asks, NULL));
    return 7;
}
