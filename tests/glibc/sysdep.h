/* sysdep.h: system calls that the tests make themselves, by an instruction in the program, not in libc. */
#ifndef SYSDEP_H
#define SYSDEP_H
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long own_call(long nr, long a1, long a2, long a3, long a4, long a5, long a6)
{
    register long r10 __asm__("r10") = a4;
    register long r8 __asm__("r8") = a5;
    register long r9 __asm__("r9") = a6;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "0"(nr), "D"(a1), "S"(a2), "d"(a3), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

#define OWN_CALL(name, a1, a2, a3, a4, a5, a6, ...) \
    own_call(__NR_##name, (long)(a1), (long)(a2), (long)(a3), (long)(a4), (long)(a5), (long)(a6))
#define INTERNAL_SYSCALL_CALL(...) OWN_CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define INTERNAL_SYSCALL(name, count, ...) OWN_CALL(name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define INTERNAL_SYSCALL_ERROR_P(ret) ((unsigned long)(ret) > -4096UL)
#define INTERNAL_SYSCALL_ERRNO(ret) (-(ret))
#define INLINE_SYSCALL_CALL(...)                            \
    ({                                                      \
        long ret_ = INTERNAL_SYSCALL_CALL(__VA_ARGS__);     \
        if (INTERNAL_SYSCALL_ERROR_P(ret_)) {               \
            errno = (int)-ret_;                             \
            ret_ = -1;                                      \
        }                                                   \
        ret_;                                               \
    })
#define INLINE_SYSCALL(name, count, ...) INLINE_SYSCALL_CALL(name, ##__VA_ARGS__)
#endif
