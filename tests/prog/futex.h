/* futex.h: the futex system call by its number, for the tests that use it directly. */
#ifndef FUTEX_H
#define FUTEX_H

#include "check.h"
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

static inline long futex(const void *addr, int op, uint32_t val, const struct timespec *timeout, const void *addr2,
                         uint32_t val3)
{
    return syscall(SYS_futex, addr, op, val, timeout, addr2, val3);
}

/* The operations that take a second count take it in the place of the timeout. */
static inline long futex2(const void *addr, int op, uint32_t val, uintptr_t val2, const void *addr2, uint32_t val3)
{
    return syscall(SYS_futex, addr, op, val, val2, addr2, val3);
}

/* Wakes until `n` waiters were found, however long they take to come; never more than `n`. */
static inline void wake_exactly(const void *addr, int op, int n)
{
    while (n > 0) {
        long woken = futex(addr, op, (uint32_t)n, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
        CHECK(woken >= 0 && woken <= n);
        n -= (int)woken;
        if (woken == 0)
            sched_yield();
    }
}

#endif
