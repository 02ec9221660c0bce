/* object.c - lists the loaded objects with dl_iterate_phdr.
 *
 * Two passes over the loader's list: one counts, one fills an array that is mmap'ed, because the program's malloc may
 * be a preloaded one that has not been initialised. Everything is taken from memory that the loader mapped; the
 * files may be out of reach (chroot). What an object is goes by its DT_SONAME, not by its path; preloom itself is
 * the object that holds this code.
 */
#include "object.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>


static const char *const skipped[] = {"libpreloom.", "libpreloom-", "libZydis.", "libZycore.", "libunwind.", "libunwind-", "libffi."};

static void copy_name(struct object *o, const char *name)
{
	size_t n = strlen(name), from = n < OBJECT_NAME ? 0 : n - OBJECT_NAME + 1;

	for (size_t i = 0; from + i <= n; i++)
		o->name[i] = name[from + i];
}

/* The loader relocates d_ptr in place for all objects but the vDSO. */
static uintptr_t dyn_ptr(const struct object *o, uintptr_t p)
{
	return p < o->base ? o->base + p : p;
}

/* DT_GNU_HASH has no count: the last symbol is at the end of the chain that begins last. */
static size_t gnu_hash_count(const uint32_t *h)
{
	uint32_t nbuckets = h[0], symoffset = h[1], bloom = h[2], last = 0;
	const uint32_t *buckets = h + 4 + bloom * 2, *chain = buckets + nbuckets;

	for (uint32_t i = 0; i < nbuckets; i++)
		if (buckets[i] > last)
			last = buckets[i];
	if (last < symoffset)
		return symoffset;
	while (!(chain[last - symoffset] & 1))
		last++;
	return last + 1;
}

static const char *read_dynamic(struct object *o)
{
	uintptr_t soname = 0;
	const uint32_t *hash = NULL, *gnu = NULL;

	for (const Elf64_Dyn *d = o->dynamic; d && d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_SYMTAB:
			o->symtab = (const Elf64_Sym *)dyn_ptr(o, d->d_un.d_ptr);
			break;
		case DT_STRTAB:
			o->strtab = (const char *)dyn_ptr(o, d->d_un.d_ptr);
			break;
		case DT_SONAME:
			soname = d->d_un.d_val;
			break;
		case DT_HASH:
			hash = (const uint32_t *)dyn_ptr(o, d->d_un.d_ptr);
			break;
		case DT_GNU_HASH:
			gnu = (const uint32_t *)dyn_ptr(o, d->d_un.d_ptr);
			break;
		}
	}
	if (!o->symtab || !o->strtab)
		return NULL;
	o->nsyms = hash ? hash[1] : gnu ? gnu_hash_count(gnu) : 0;
	return soname ? o->strtab + soname : NULL;
}

static void read_segments(struct object *o, const struct dl_phdr_info *info)
{
	o->lo = UINTPTR_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *p = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + p->p_vaddr, hi = lo + p->p_memsz;

		if (p->p_type == PT_DYNAMIC) {
			o->dynamic = (const Elf64_Dyn *)lo;
		} else if (p->p_type == PT_GNU_EH_FRAME) {
			o->eh_frame_hdr = lo;
			o->eh_frame_hdr_size = p->p_memsz;
		} else if (p->p_type == PT_LOAD) {
			o->lo = lo < o->lo ? lo : o->lo;
			o->hi = hi > o->hi ? hi : o->hi;
			if ((p->p_flags & (PF_X | PF_R)) == (PF_X | PF_R) && o->ntext < OBJECT_SEGMENTS) {
				int prot = PROT_READ | PROT_EXEC | (p->p_flags & PF_W ? PROT_WRITE : 0);
				o->text[o->ntext++] = (struct segment){lo, lo + p->p_filesz, prot};
			}
		}
	}
}

static enum object_kind object_kind(const struct object *o, const char *soname)
{
	uintptr_t self = (uintptr_t)&object_list_get, vdso = getauxval(AT_SYSINFO_EHDR);

	if ((self >= o->lo && self < o->hi) || (vdso && vdso >= o->lo && vdso < o->hi))
		return OBJECT_SKIP;
	if (!soname)
		return OBJECT_OTHER;
	if (!strcmp(soname, "libc.so.6"))
		return OBJECT_LIBC;
	if (!strcmp(soname, "ld-linux-x86-64.so.2"))
		return OBJECT_LDSO;
	for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
		if (!strncmp(soname, skipped[i], strlen(skipped[i])))
			return OBJECT_SKIP;
	return OBJECT_OTHER;
}

struct walk {
	struct object_list *l;
	size_t cap;
};

static int count_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct walk *w = arg;

	(void)size;
	w->l->adds = info->dlpi_adds;
	w->l->subs = info->dlpi_subs;
	w->l->n++;
	return 0;
}

static int add_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct walk *w = arg;
	struct object *o;

	(void)size;
	w->l->adds = info->dlpi_adds;
	w->l->subs = info->dlpi_subs;
	if (w->l->n == w->cap)
		return -ENOMEM;
	o = &w->l->v[w->l->n];
	o->is_exe = w->l->n++ == 0;
	o->base = info->dlpi_addr;
	copy_name(o, info->dlpi_name && *info->dlpi_name ? info->dlpi_name : o->is_exe ? "(executable)" : "(unnamed)");
	read_segments(o, info);
	o->kind = object_kind(o, read_dynamic(o));
	return 0;
}

int object_list_get(struct object_list *l)
{
	struct walk w = {l, 0};

	*l = (struct object_list){0};
	dl_iterate_phdr(count_object, &w);
	w.cap = l->n + 16;
	l->v = mmap(NULL, w.cap * sizeof *l->v, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l->v == MAP_FAILED)
		return -ENOMEM;
	l->n = 0;
	if (dl_iterate_phdr(add_object, &w) == 0)
		return 0;
	munmap(l->v, w.cap * sizeof *l->v);
	return -EAGAIN;
}

void object_list_free(struct object_list *l)
{
	munmap(l->v, (l->n + 16) * sizeof *l->v);
	l->v = NULL;
}

const Elf64_Sym *object_symbol(const struct object *o, uintptr_t addr, bool must_cover)
{
	const Elf64_Sym *best = NULL;

	for (size_t i = 0; i < o->nsyms; i++) {
		const Elf64_Sym *s = &o->symtab[i];
		unsigned type = ELF64_ST_TYPE(s->st_info);
		uintptr_t at = o->base + s->st_value;

		if (s->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC) || at > addr)
			continue;
		if (s->st_size ? addr >= at + s->st_size : must_cover)
			continue;
		if (!best || s->st_value > best->st_value)
			best = s;
	}
	return best;
}

const struct segment *object_text(const struct object *o, uintptr_t addr)
{
	for (unsigned i = 0; i < o->ntext; i++)
		if (addr >= o->text[i].lo && addr < o->text[i].hi)
			return &o->text[i];
	return NULL;
}
