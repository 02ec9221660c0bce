/* base.h - types, atomics and checks that every file of runtime/ and shims/ stands on.
 *
 * The code below the entry stub is freestanding: no libc call, no errno, no thread-local storage. What the
 * compiler itself may emit (memcpy, memset, memmove, memcmp) is defined in mem.c.
 */
#ifndef PRELOOM_BASE_H
#define PRELOOM_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_SEC 1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL

#define likely(x) __builtin_expect(!!(x), 1)
/* Text of ours that runs as the program's: it holds no lock and has no G in a state between two. */
#define PROGRAM_TEXT __attribute__((section("program_text")))
#define unlikely(x) __builtin_expect(!!(x), 0)
#define nelem(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define load_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define load_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define store_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define store_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

static inline size_t align_up(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static inline size_t align_down(size_t n, size_t to)
{
	return n & ~(to - 1);
}

/* throw stops the program after a broken invariant: prints the rule and the state of every G, then dies by SIGABRT. */
_Noreturn void throw(const char *rule);

/* Debug builds check more; `check` is always on, `debug_check` only in Debug. */
#define check(cond)                            \
	do {                                   \
		if (unlikely(!(cond)))         \
			throw("check: " #cond); \
	} while (0)
#ifdef PRELOOM_DEBUG
#define debug_check(cond) check(cond)
#else
#define debug_check(cond) ((void)sizeof(cond))
#endif

#endif
