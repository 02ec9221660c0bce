/* robust_pending.c: a thread that ends between freeing a robust lock and waking who waits for it: the waiter is woken all
 * the same, in this process and in another. The lock is a bare word; the thread says by its robust list that it was busy with it.
 */
#include "check.h"
#include "futex.h"
#include <linux/futex.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct lock {
    struct robust_list list;
    uint32_t word;
};

static void *ends_before_the_wake(void *arg)
{
    static struct robust_list_head head;
    struct lock *l = arg;
    head.list.next = &head.list;
    head.futex_offset = offsetof(struct lock, word);
    head.list_op_pending = &l->list;
    usleep(10000);
    CHECK(syscall(SYS_set_robust_list, &head, sizeof head) == 0);
    syscall(SYS_exit, 0); /* not pthread_exit, which might use the list */
    return NULL;
}

static _Atomic int woken;

static void *waits(void *arg)
{
    struct lock *l = arg;
    struct timespec limit = {20, 0};
    CHECK(syscall(SYS_futex, &l->word, FUTEX_WAIT, 0, &limit, NULL, 0) == 0);
    woken = 1;
    return NULL;
}

static struct lock *shared_lock(int flags)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

int main(void)
{
    struct lock *own = shared_lock(MAP_PRIVATE), *shared = shared_lock(MAP_SHARED);
    pthread_t w = start(waits, own);
    while (!woken) /* the first may come before anybody waits */
        join(start(ends_before_the_wake, own));
    join(w);
    puts("in this process");
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        waits(shared);
        _exit(0);
    }
    int status;
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0)
        join(start(ends_before_the_wake, shared));
    CHECK(ended == child && status == 0);
    puts("in another");
    return 0;
}
