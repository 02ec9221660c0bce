/* vdso.c - symbols of the kernel's vDSO: the auxiliary vector has its address, its ELF image the rest.
 *
 * The vDSO itself cannot be rewritten (the kernel seals it). glibc calls its functions through pointers in ld.so's
 * read-only data, so a function is replaced there.
 */
#include "vdso.h"
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/auxv.h>

void *vdso_symbol(const char *name)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	if (!base)
		return NULL;
	const ElfW(Ehdr) *eh = (const ElfW(Ehdr) *)base;
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)(base + eh->e_phoff);
	const ElfW(Dyn) *dyn = NULL;
	uintptr_t bias = 0;
	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			bias = (uintptr_t)base + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const ElfW(Dyn) *)(base + ph[i].p_offset);
	}
	const ElfW(Sym) *sym = NULL;
	const char *str = NULL;
	const uint32_t *hash = NULL, *gnu = NULL;
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		uintptr_t p = bias + dyn->d_un.d_ptr;
		if (dyn->d_tag == DT_SYMTAB)
			sym = (const ElfW(Sym) *)p;
		else if (dyn->d_tag == DT_STRTAB)
			str = (const char *)p;
		else if (dyn->d_tag == DT_HASH)
			hash = (const uint32_t *)p;
		else if (dyn->d_tag == DT_GNU_HASH)
			gnu = (const uint32_t *)p;
	}
	if (!sym || !str || (!hash && !gnu))
		return NULL;
	/* Without DT_HASH the number of symbols is not written anywhere; the vDSO has a dozen. */
	uint32_t n = hash ? hash[1] : 64;
	for (uint32_t i = 1; i < n; i++) {
		if (!hash && (const char *)&sym[i] >= str)
			break;
		if (sym[i].st_shndx != SHN_UNDEF && strcmp(str + sym[i].st_name, name) == 0)
			return (void *)(bias + sym[i].st_value);
	}
	return NULL;
}

#define PAGE 4096UL

static void write_pointer(void **slot, void *value)
{
	uintptr_t page = (uintptr_t)slot & ~(PAGE - 1);
	if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		return;
	*slot = value;
	mprotect((void *)page, PAGE, PROT_READ);
}

bool vdso_replace(void *from, void *to)
{
	Dl_info info;
	ElfW(Sym) *sym = NULL;
	void **p = dlsym(RTLD_DEFAULT, "_rtld_global_ro");
	if (!from || !p || !dladdr1(p, &info, (void **)&sym, RTLD_DL_SYMENT) || !sym)
		return false;
	for (size_t i = 0; i < sym->st_size / sizeof(*p); i++)
		if (p[i] == from) {
			write_pointer(&p[i], to);
			return true;
		}
	return false;
}
