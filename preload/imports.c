/* imports.c - what functions an object asks others for, read from its relocations. Its symbol table would not do: the hash
 * table, where the length of that comes from, may leave out what is not defined.
 */
#include "imports.h"
#include <string.h>

static bool names_symbol(const struct object *o, const Elf64_Rela *r, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t type = ELF64_R_TYPE(r[i].r_info);
		const Elf64_Sym *s = &o->symtab[ELF64_R_SYM(r[i].r_info)];

		if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64)
			continue;
		if (s->st_shndx == SHN_UNDEF && !strcmp(o->strtab + s->st_name, name))
			return true;
	}
	return false;
}

bool object_imports(const struct object *o, const char *name)
{
	const Elf64_Rela *rela = NULL, *jmprel = NULL;
	size_t size = 0, plt_size = 0, relative = 0;

	for (const Elf64_Dyn *d = o->dynamic; d && d->d_tag != DT_NULL; d++) {
		uintptr_t p = d->d_un.d_ptr < o->base ? o->base + d->d_un.d_ptr : d->d_un.d_ptr;

		if (d->d_tag == DT_RELA)
			rela = (const Elf64_Rela *)p;
		else if (d->d_tag == DT_RELASZ)
			size = d->d_un.d_val / sizeof(*rela);
		else if (d->d_tag == DT_RELACOUNT)
			relative = d->d_un.d_val; /* the first ones, without a symbol */
		else if (d->d_tag == DT_JMPREL)
			jmprel = (const Elf64_Rela *)p;
		else if (d->d_tag == DT_PLTRELSZ)
			plt_size = d->d_un.d_val / sizeof(*jmprel);
	}
	if (!o->symtab || !o->strtab)
		return false;
	return (jmprel && names_symbol(o, jmprel, plt_size, name)) ||
	       (rela && size > relative && names_symbol(o, rela + relative, size - relative, name));
}
