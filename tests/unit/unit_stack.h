/* unit_stack.h - what the tests of the stack pool share: a stack as glibc takes one. */
#ifndef PRELOOM_UNIT_STACK_H
#define PRELOOM_UNIT_STACK_H

#include "unit.h"
#include <asm/errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define PAGE 4096
#define SIZE (256u << 10)
#define GUARD PAGE
#define RW (PROT_READ | PROT_WRITE)

/* As glibc does it: mapped without access, then opened but for the guard. */
static inline char *get_guarded(size_t size, size_t guard)
{
	char *p = stack_alloc(size);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq((uintptr_t)p % PAGE, 0);
	ck_assert_int_eq(stack_protect((uintptr_t)p + guard, size - guard, RW), 0);
	return p;
}

static inline char *get(size_t size)
{
	return get_guarded(size, GUARD);
}

static inline void dirty(char *p, size_t size)
{
	memset(p + GUARD, 0x55, size - GUARD);
}

static inline void check_zero(const char *p, size_t size)
{
	for (size_t i = GUARD; i < size; i++)
		if (p[i])
			ck_abort_msg("byte %zu is %d", i, p[i]);
}

#endif
