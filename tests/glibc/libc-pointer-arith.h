/* libc-pointer-arith.h: rounding to a power of two. */
#include <stdint.h>
#define ALIGN_DOWN(n, size) ((n) & ~((__typeof__(n))(size)-1))
#define ALIGN_UP(n, size) ALIGN_DOWN((n) + (size)-1, size)
#define PTR_ALIGN_DOWN(p, size) ((__typeof__(p))ALIGN_DOWN((uintptr_t)(p), size))
#define PTR_ALIGN_UP(p, size) ((__typeof__(p))ALIGN_UP((uintptr_t)(p), size))
#define PTR_IS_ALIGNED(p, size) ((uintptr_t)(p) % (size) == 0)
