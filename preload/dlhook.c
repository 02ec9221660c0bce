/* dlhook.c - being told when ld.so has mapped new objects.
 *
 * ld.so announces every change of its list of objects to debuggers by calling an empty function whose address it
 * publishes in _r_debug.r_brk. At that call the new objects are mapped, not yet relocated, and none of their code has
 * run: the moment to rewrite them. The function is `ret` and padding: a jump to us fits.
 * Rejected: interposing dlopen (it changes what RTLD_NEXT and $ORIGIN mean to the caller, and misses the C library's
 * own loads for iconv and nss).
 */
#include "dlhook.h"
#include "arch.h"
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void (*hook)(void);

static void on_change(void)
{
	if (_r_debug.r_state == RT_CONSISTENT)
		hook();
}

#define JUMP_SIZE 14 /* jmp *0(%rip) and the address */
#define PAGE 4096UL

/* `ret` (perhaps behind endbr64) at the start of 16 bytes of its own. */
static bool has_room(const uint8_t *p)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	if ((uintptr_t)p % 16)
		return false;
	if (memcmp(p, endbr, 4) == 0)
		return p[4] == 0xc3;
	return p[0] == 0xc3 && (p[1] == 0x66 || p[1] == 0x0f || p[1] == 0x90 || p[1] == 0xcc);
}

/* ld.so cannot run while its text is not executable: nothing here may call a function through the PLT. */
__attribute__((noinline)) static void write_jump(volatile uint8_t *p, uint64_t to)
{
	uintptr_t page = (uintptr_t)p & ~(PAGE - 1);
	if (sys3(SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE))
		return;
	p[0] = 0xff;
	p[1] = 0x25;
	p[2] = p[3] = p[4] = p[5] = 0;
	for (int i = 0; i < 8; i++)
		p[6 + i] = (uint8_t)(to >> 8 * i);
	sys3(SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC);
}

void dlhook_install(void (*fn)(void))
{
	uint8_t *p = (uint8_t *)_r_debug.r_brk;
	hook = fn;
	if (p && has_room(p))
		write_jump(p, (uint64_t)on_change);
}
