/* gonote.h - is an ELF object made by Go's compiler? Its linker leaves a note, which is in memory, too.
 *
 * Go has a scheduler and a system-call layer of its own. What it calls cannot be moved (its functions have no .eh_frame, so
 * their bounds are not known), and may not be: it is called on goroutines' stacks of 2 KB. Its calls for signal handlers and
 * alternate stacks would then go past preloom, to kernel threads that are not the program's.
 */
#ifndef PRELOOM_GONOTE_H
#define PRELOOM_GONOTE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define GO_BUILDID 4

/* p: a segment of type PT_NOTE, with its size and alignment. */
static inline bool has_go_note(const unsigned char *p, size_t size, size_t align)
{
	size_t up = align == 8 ? 7 : 3;
	Elf64_Nhdr h;
	while (size >= sizeof h) {
		memcpy(&h, p, sizeof h);
		if (h.n_namesz == 4 && h.n_type == GO_BUILDID && size >= sizeof h + 4 && !memcmp(p + sizeof h, "Go\0", 4))
			return true;
		size_t desc = (sizeof h + (size_t)h.n_namesz + up) & ~up, next = (desc + (size_t)h.n_descsz + up) & ~up;
		if (next > size)
			return false;
		p += next;
		size -= next;
	}
	return false;
}

#endif
