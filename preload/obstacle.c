/* obstacle.c - can a program be preloaded? Reads as much of its file as tells.
 *
 * What cannot be served is static, setuid, for another architecture or C library, built with a sanitizer, or by Go. Scripts
 * are followed to their interpreter.
 */
#include "obstacle.h"
#include "gonote.h"
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH 4

struct file {
	const unsigned char *p;
	size_t size;
};

static bool map_file(const char *path, struct file *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		close(fd);
		return false;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	*f = (struct file){p, (size_t)st.st_size};
	return true;
}

/* n bytes at offset, or NULL if the file is too short. */
static const void *at(const struct file *f, uint64_t offset, uint64_t n)
{
	return offset <= f->size && n <= f->size - offset ? f->p + offset : NULL;
}

static const char *string_at(const struct file *f, uint64_t offset)
{
	return offset < f->size && memchr(f->p + offset, 0, f->size - offset) ? (const char *)f->p + offset : "";
}

static const Elf64_Phdr *find_segment(const struct file *f, uint32_t type)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof *e);
	const Elf64_Phdr *p = at(f, e->e_phoff, (uint64_t)e->e_phnum * sizeof *p);

	for (unsigned i = 0; p && i < e->e_phnum; i++)
		if (p[i].p_type == type)
			return &p[i];
	return NULL;
}

static uint64_t offset_of(const struct file *f, uint64_t vaddr)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof *e);
	const Elf64_Phdr *p = at(f, e->e_phoff, (uint64_t)e->e_phnum * sizeof *p);

	for (unsigned i = 0; p && i < e->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && vaddr >= p[i].p_vaddr && vaddr - p[i].p_vaddr < p[i].p_filesz)
			return p[i].p_offset + (vaddr - p[i].p_vaddr);
	return UINT64_MAX;
}

/* The symbol tables are searched for the runtime's entry point: a statically linked sanitizer needs no library. */
static bool has_symbol(const struct file *f, const char *name)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof *e);
	const Elf64_Shdr *s = at(f, e->e_shoff, (uint64_t)e->e_shnum * sizeof *s);

	for (unsigned i = 0; s && i < e->e_shnum; i++) {
		const Elf64_Sym *sym;

		if (s[i].sh_type != SHT_DYNSYM || s[i].sh_link >= e->e_shnum)
			continue;
		sym = at(f, s[i].sh_offset, s[i].sh_size);
		for (uint64_t k = 0; sym && k < s[i].sh_size / sizeof *sym; k++)
			if (!strcmp(string_at(f, s[s[i].sh_link].sh_offset + sym[k].st_name), name))
				return true;
	}
	return false;
}

static bool needs_sanitizer(const struct file *f)
{
	static const char *const libs[] = {"libasan.so", "libtsan.so", "libmsan.so", "libhwasan.so", "liblsan.so", "libclang_rt."};
	const Elf64_Phdr *ph = find_segment(f, PT_DYNAMIC);
	const Elf64_Dyn *d = ph ? at(f, ph->p_offset, ph->p_filesz) : NULL;
	uint64_t n = d ? ph->p_filesz / sizeof *d : 0, strtab = UINT64_MAX;

	for (uint64_t i = 0; i < n && d[i].d_tag != DT_NULL; i++)
		if (d[i].d_tag == DT_STRTAB)
			strtab = offset_of(f, d[i].d_un.d_ptr);
	for (uint64_t i = 0; strtab != UINT64_MAX && i < n && d[i].d_tag != DT_NULL; i++)
		for (size_t k = 0; d[i].d_tag == DT_NEEDED && k < sizeof libs / sizeof *libs; k++)
			if (!strncmp(string_at(f, strtab + d[i].d_un.d_val), libs[k], strlen(libs[k])))
				return true;
	return has_symbol(f, "__asan_init") || has_symbol(f, "__tsan_init") || has_symbol(f, "__msan_init");
}

static bool is_go(const struct file *f)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof *e);
	const Elf64_Phdr *p = at(f, e->e_phoff, (uint64_t)e->e_phnum * sizeof *p);

	for (unsigned i = 0; p && i < e->e_phnum; i++) {
		const unsigned char *note = p[i].p_type == PT_NOTE ? at(f, p[i].p_offset, p[i].p_filesz) : NULL;

		if (note && has_go_note(note, p[i].p_filesz, p[i].p_align))
			return true;
	}
	return false;
}

/* Why an ELF file cannot be served, or NULL. */
static const char *elf_obstacle(const struct file *f)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof *e);
	const Elf64_Phdr *interp;
	const char *name;

	if (f->size > EI_CLASS && f->p[EI_CLASS] == ELFCLASS32)
		return "is a 32-bit program";
	if (!e || e->e_machine != EM_X86_64)
		return "is for another architecture";
	interp = find_segment(f, PT_INTERP);
	if (!interp)
		return "is statically linked";
	name = string_at(f, interp->p_offset);
	if (strstr(name, "ld-musl"))
		return "uses musl, not glibc";
	if (!strstr(name, "ld-linux-x86-64"))
		return "uses a loader that is not glibc's";
	if (is_go(f))
		return "is a Go program";
	return needs_sanitizer(f) ? "is built with a sanitizer" : NULL;
}

static const char *privilege_obstacle(const char *path, const struct stat *st)
{
	if (st->st_mode & S_ISUID)
		return "is setuid";
	if ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return "is setgid";
	if (getxattr(path, "security.capability", NULL, 0) > 0)
		return "has file capabilities";
	return NULL;
}

/* The interpreter of a script, into buf. */
static bool script_interpreter(const struct file *f, char *buf, size_t size)
{
	size_t i = 2, n = 0;

	if (f->size < 3 || f->p[0] != '#' || f->p[1] != '!')
		return false;
	while (i < f->size && (f->p[i] == ' ' || f->p[i] == '\t'))
		i++;
	while (i < f->size && n + 1 < size && !strchr(" \t\r\n", f->p[i]))
		buf[n++] = (char)f->p[i++];
	buf[n] = '\0';
	return n > 0;
}

static const char *find(const char *path, int depth)
{
	const char *why = NULL;
	char interp[PATH_MAX];
	struct stat st;
	struct file f;
	bool script;

	if (stat(path, &st) == 0)
		why = privilege_obstacle(path, &st);
	if (!map_file(path, &f))
		return why; /* not readable, perhaps still executable: the library itself will notice */
	script = script_interpreter(&f, interp, sizeof interp);
	if (!script && !why && f.size >= SELFMAG && !memcmp(f.p, ELFMAG, SELFMAG))
		why = elf_obstacle(&f);
	munmap((void *)f.p, f.size);
	if (script)
		return depth < SCRIPT_DEPTH ? find(interp, depth + 1) : NULL;
	return why;
}

const char *find_obstacle(const char *path)
{
	return find(path, 0);
}

bool is_elf(const char *path)
{
	struct file f;
	bool elf;

	if (!map_file(path, &f))
		return false;
	elf = f.size >= SELFMAG && !memcmp(f.p, ELFMAG, SELFMAG);
	munmap((void *)f.p, f.size);
	return elf;
}
