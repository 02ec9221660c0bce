/* patch.c - writes the jumps into an object's text.
 *
 * Text is never writable and executable at once: the pages become writable, lose the right to execute, are written,
 * and get their old protection back. If the object is libc, nothing of libc can run in between, so everything from the first
 * mprotect to the last is in one function that calls nothing: inline system calls, and stores through a volatile
 * pointer, which the compiler does not turn into memcpy. The range is all of the text between the first and the last
 * jump, so that the mapping stays in one piece.
 */
#include "patch.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "arch/x86_64/site.h"

#define PAGE 4096UL
/* A sanitizer's checks may call out. */
#define PLAIN __attribute__((no_sanitize("address"), no_sanitize("undefined")))

PLAIN static inline __attribute__((always_inline)) void write_jump(uintptr_t at, uintptr_t to)
{
	volatile uint8_t *p = (volatile uint8_t *)at;
	uint32_t d = (uint32_t)(to - (at + JUMP_SIZE));

	p[0] = 0xe9;
	p[1] = (uint8_t)d;
	p[2] = (uint8_t)(d >> 8);
	p[3] = (uint8_t)(d >> 16);
	p[4] = (uint8_t)(d >> 24);
}

PLAIN static inline __attribute__((always_inline)) _Noreturn void die(void)
{
	static const char why[] = "preloom: cannot make the text executable again\n";

	sys3(SYS_write, 2, why, sizeof why - 1);
	for (;;)
		sys1(SYS_exit_group, 127);
}

static bool wanted(const struct segment *seg, const struct site *s)
{
	return s->state == SITE_REWRITTEN && s->span >= seg->lo && s->span < seg->hi;
}

PLAIN __attribute__((noinline)) static int write_all(const struct site *v, size_t n, uintptr_t lo, uintptr_t hi, int prot)
{
	long err = sys3(SYS_mprotect, lo, hi - lo, (prot & ~PROT_EXEC) | PROT_WRITE);

	if (err)
		return (int)err;
	for (size_t i = 0; i < n; i++)
		if (v[i].state == SITE_REWRITTEN && v[i].span >= lo && v[i].span < hi)
			write_jump(v[i].span, v[i].tramp);
	if (sys3(SYS_mprotect, lo, hi - lo, prot))
		die();
	return 0;
}

int patch_sites(const struct segment *seg, const struct site *v, size_t n)
{
	uintptr_t lo = 0, hi = 0;

	for (size_t i = 0; i < n; i++) {
		if (!wanted(seg, &v[i]))
			continue;
		lo = lo ? lo : v[i].span & ~(PAGE - 1);
		hi = (v[i].span + JUMP_SIZE + PAGE - 1) & ~(PAGE - 1);
	}
	return lo ? write_all(v, n, lo, hi, seg->prot) : 0;
}
