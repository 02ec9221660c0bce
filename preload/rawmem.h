/* rawmem.h - memory for the rewriter without the C library's functions: their sites may be rewritten already while the
 * table that describes these is not published. A signal delivered at such a call would not find its way back, and a G
 * that gave its P away there would leave an M with all signals blocked.
 */
#ifndef PRELOOM_RAWMEM_H
#define PRELOOM_RAWMEM_H

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"

/* NULL when there is no memory. */
static inline void *raw_map_at(void *at, size_t size, int prot, int flags)
{
	long p = sys6(SYS_mmap, (long)at, (long)size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return (unsigned long)p >= -4095UL ? NULL : (void *)p;
}

static inline void *raw_map(size_t size, int flags)
{
	return raw_map_at(NULL, size, PROT_READ | PROT_WRITE, flags);
}

static inline void raw_unmap(void *p, size_t size)
{
	sys2(SYS_munmap, p, size);
}

/* 0 or -errno. */
static inline int raw_protect(void *p, size_t size, int prot)
{
	return (int)sys3(SYS_mprotect, p, size, prot);
}

#endif
