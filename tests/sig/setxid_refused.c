/* setxid_refused.c: a change of ids that every thread is refused, one of them with a kernel thread of its own, and then one that
 * every thread makes: no thread keeps the result of the first. */
#include "../prog/check.h"
#include <sys/syscall.h>

#define THREADS 4
#define NOBODY 65534

static int over;

static void *bystands(void *arg)
{
    if (arg)
        CHECK(syscall(SYS_setresuid, -1, -1, -1) == 0); /* for this thread alone */
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
        usleep(100);
    CHECK(geteuid() != 0);
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    if (geteuid() == 0)
        CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
    for (int wired = 0; wired < THREADS; wired++) {
        over = 0;
        for (int i = 0; i < THREADS; i++)
            t[i] = start(bystands, i == wired ? &over : NULL);
        for (int i = 0; i < 50; i++) {
            CHECK_ERRNO(setuid(0), EPERM);
            CHECK(seteuid(geteuid()) == 0);
        }
        __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
        for (int i = 0; i < THREADS; i++)
            join(t[i]);
    }
    puts("done");
    return 0;
}
