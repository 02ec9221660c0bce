/* object.h - the objects that are loaded, as far as they can be known without reading a file.
 */
#ifndef PRELOOM_OBJECT_H
#define PRELOOM_OBJECT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_SEGMENTS 4
#define OBJECT_NAME 96

enum object_kind {
	OBJECT_OTHER,
	OBJECT_LIBC,
	OBJECT_LDSO,
	OBJECT_SKIP, /* the vDSO, preloom itself and what it stands on: never rewritten */
};

struct segment {
	uintptr_t lo, hi;
	int prot;
};

struct object {
	char name[OBJECT_NAME]; /* the end of the path, if it is longer */
	uintptr_t base;
	uintptr_t lo, hi; /* all of it */
	struct segment text[OBJECT_SEGMENTS];
	unsigned ntext;
	bool is_exe;
	enum object_kind kind;
	const Elf64_Dyn *dynamic;
	uintptr_t eh_frame_hdr;
	size_t eh_frame_hdr_size;
	const Elf64_Sym *symtab;
	const char *strtab;
	size_t nsyms;
};

struct object_list {
	struct object *v;
	size_t n;
	unsigned long long adds, subs; /* of dl_iterate_phdr: how often something was loaded, unloaded */
};

/* Fills the list in load order. Returns 0 or -errno; object_list_free gives the memory back. */
int object_list_get(struct object_list *l);
void object_list_free(struct object_list *l);

/* The function of .dynsym that covers addr, or NULL. Without a size in the symbol: the nearest one below. */
const Elf64_Sym *object_symbol(const struct object *o, uintptr_t addr, bool must_cover);

const struct segment *object_text(const struct object *o, uintptr_t addr);

#endif
