/* findlocks.c - where libc's lock prefixes are.
 *
 * A byte f0 with an instruction behind it that can be locked is looked for in the pages that rewriting changes anyway,
 * which hold nearly all of NPTL: so no other page becomes private memory of the process. Whether it is the first byte of an
 * instruction is answered by decoding the function from its start. One that lies in the bytes of a jump, or behind another
 * prefix, or where the function's bounds are not known, is left as it is: every instruction is for itself.
 */
#include "findlocks.h"

#include <asm/unistd.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "arch.h"
#include "arch/x86_64/site.h"
#include "boundary.h"
#include "rawmem.h"

#define PAGE 4096UL
#define LOCK_PREFIX 0xf0
#define LONGEST 15

/* The opcodes that take a lock prefix: by the first byte, and by the second after 0f. */
static bool lockable(const uint8_t *p)
{
	p += (*p & 0xf0) == 0x40;
	if (*p == 0x0f)
		return p[1] == 0xb0 || p[1] == 0xb1 || p[1] == 0xc0 || p[1] == 0xc1 || p[1] == 0xc7 || p[1] == 0xba || p[1] == 0xab ||
		       p[1] == 0xb3 || p[1] == 0xbb;
	return (*p < 0x38 && (*p & 7) < 2) || *p == 0x80 || *p == 0x81 || *p == 0x83 || *p == 0xf6 || *p == 0xf7 || *p == 0xfe || *p == 0xff;
}

static bool is_lock(const struct object *o, uintptr_t at)
{
	struct bounds fn;

	return lockable((const uint8_t *)at + 1) && function_bounds(o, at, false, &fn) && !fn.mark && boundary_is(o, at);
}

/* The jump at or before `at` is one of the sites from v[*i] on; so will be those of greater addresses. */
static bool in_jump(uintptr_t at, const struct site *v, size_t n, size_t *i)
{
	while (*i + 1 < n && v[*i + 1].span <= at)
		++*i;
	return v[*i].state == SITE_REWRITTEN && v[*i].span <= at && at - v[*i].span < JUMP_SIZE;
}

size_t findlocks(const struct object *o, const struct site *v, size_t n, uintptr_t *out, size_t cap)
{
	uintptr_t done = 0; /* up to here */
	size_t found = 0, before = 0;

	boundary_reset();
	for (size_t i = 0; i < n; i++) {
		const struct segment *seg = object_text(o, v[i].span);
		uintptr_t page = v[i].span & ~(PAGE - 1), p = page < done ? done : page;
		const uint8_t *next;

		if (v[i].state != SITE_REWRITTEN || !seg || p >= page + PAGE)
			continue;
		for (done = page + PAGE; p < done && p + LONGEST < seg->hi; p = (uintptr_t)next + 1) {
			next = memchr((const void *)p, LOCK_PREFIX, done - p);
			if (!next)
				break;
			if (found < cap && !in_jump((uintptr_t)next, v, n, &before) && is_lock(o, (uintptr_t)next))
				out[found++] = (uintptr_t)next;
		}
	}
	return found;
}

/* A mapping that is only read may be written later if its file was opened for that: mprotect says so. */
static bool can_be_written(uintptr_t lo, uintptr_t hi, const char *prot)
{
	int now = (prot[0] == 'r' ? PROT_READ : 0) | (prot[2] == 'x' ? PROT_EXEC : 0);

	if (prot[1] == 'w')
		return true;
	if (raw_protect((void *)lo, hi - lo, now | PROT_WRITE) != 0)
		return false;
	raw_protect((void *)lo, hi - lo, now);
	return true;
}

/* Reads "lo-hi rwxs …". */
static bool line_is_shared(const char *line)
{
	uintptr_t bound[2] = {0, 0};

	for (int i = 0; i < 2; i++, line++)
		for (; *line != '-' && *line != ' '; line++)
			bound[i] = bound[i] << 4 | (uintptr_t)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
	return line[3] == 's' && can_be_written(bound[0], bound[1], line);
}

#define LINE_START 80 /* enough for addresses and protection */

bool findlocks_shared_memory(void)
{
	static char buf[16384];
	char line[LINE_START];
	size_t at = 0;
	long fd = sys4(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0), n = 0;
	bool shared = fd < 0;

	while (!shared && (n = sys3(SYS_read, fd, buf, sizeof buf)) > 0)
		for (long i = 0; i < n && !shared; i++) {
			if (at < sizeof line)
				line[at++] = buf[i];
			if (buf[i] != '\n')
				continue;
			shared = line_is_shared(line);
			at = 0;
		}
	if (fd >= 0)
		sys1(SYS_close, fd);
	return shared || n < 0;
}

bool findlocks_unseen(const struct site *s)
{
	if (s->state != SITE_REFUSED && s->reason != REASON_BRANCH_TO_SITE)
		return false;
	return s->nr == -1 || s->nr == __NR_mmap || s->nr == __NR_shmat || s->nr == __NR_clone || s->nr == __NR_clone3;
}
