/* changed_inherit.c: a thread that is made by one with credentials, a umask, a session keyring or descriptors of its own has these
 * too, wherever it runs, and so has one that it makes; others do not.
 */
#include "check.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define NOBODY 65534

struct has {
    mode_t umask;
    int keepcaps, raw, open;
    long euid, session;
};

static struct has process;
static int fd;

static mode_t my_umask(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    CHECK0(pthread_mutex_lock(&lock));
    mode_t m = umask(0);
    umask(m);
    CHECK0(pthread_mutex_unlock(&lock));
    return m;
}

static struct has now(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    CHECK(syscall(SYS_capget, &h, d) == 0);
    return (struct has){my_umask(), prctl(PR_GET_KEEPCAPS), (d[0].effective >> CAP_NET_RAW) & 1,
                        fcntl(fd, F_GETFD) >= 0, syscall(SYS_geteuid),
                        syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)};
}

static int same(struct has a, struct has b)
{
    return a.umask == b.umask && a.keepcaps == b.keepcaps && a.raw == b.raw && a.open == b.open &&
           a.euid == b.euid && a.session == b.session;
}

static void *grandchild(void *arg)
{
    for (int i = 0; i < 20; i++) {
        CHECK(same(now(), *(struct has *)arg));
        sleep_ms(1);
    }
    return NULL;
}

static void *child(void *arg)
{
    CHECK(same(now(), *(struct has *)arg));
    sleep_ms(1);
    join(start(grandchild, arg));
    return NULL;
}

/* Each changes one thing, its own. */
static void *changes(void *arg)
{
    struct has mine = process;
    switch ((int)(intptr_t)arg) {
    case 0:
        CHECK(unshare(CLONE_FS) == 0);
        umask(mine.umask = 0123);
        break;
    case 1:
        CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
        mine.keepcaps = 1;
        break;
    case 2:
        if (process.session < 0) /* not where there are no keys */
            break;
        mine.session = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
        CHECK(mine.session > 0 && mine.session != process.session);
        break;
    case 3: {
        struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct d[2];
        CHECK(syscall(SYS_capget, &h, d) == 0);
        d[0].effective &= ~(1u << CAP_NET_RAW);
        CHECK(syscall(SYS_capset, &h, d) == 0);
        mine.raw = 0;
        break;
    }
    case 4:
        CHECK(syscall(SYS_close_range, fd, fd, CLOSE_RANGE_UNSHARE) == 0);
        mine.open = 0;
        break;
    default:
        if (process.euid != 0)
            break;
        CHECK(syscall(SYS_setresuid, -1, NOBODY, -1) == 0);
        mine.euid = NOBODY;
        mine.raw = 0;
        break;
    }
    CHECK(same(now(), mine));
    join(start(child, &mine));
    CHECK(same(now(), mine));
    return NULL;
}

static void *stays(void *arg)
{
    for (int i = 0; i < 100; i++) {
        CHECK(same(now(), process));
        sleep_ms(1);
    }
    return arg;
}

int main(void)
{
    pthread_t t[6], other;
    fd = open("/dev/null", O_RDONLY);
    process = now();
    other = start(stays, NULL);
    for (int i = 0; i < 6; i++)
        t[i] = start(changes, (void *)(intptr_t)i);
    for (int i = 0; i < 6; i++)
        join(t[i]);
    join(other);
    CHECK(same(now(), process));
    puts("inherited by those that it makes");
    return 0;
}
