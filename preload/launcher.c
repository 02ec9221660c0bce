/* launcher.c - the `preloom` command: runs a program with libpreloom.so preloaded.
 *
 * It looks the program up as execvp would, reads as much of its ELF file as tells whether preloading can work, puts the
 * library in front of LD_PRELOAD and execs: pid, exit status and signals are the program's. A program that cannot be
 * served (static, setuid, another architecture, a sanitizer build) is named in one line and runs as it is. Scripts are
 * followed to their interpreter for these checks.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef PRELOOM_VERSION
#define PRELOOM_VERSION "0.1.0"
#endif

#define MAX_PROCS 1024
#define SCRIPT_DEPTH 4
#define EXIT_USAGE 2
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

extern char **environ;

static const char usage[] =
	"usage: preloom [run] [-p N] [-o OPTIONS] [--] PROGRAM [ARGUMENT ...]\n"
	"\n"
	"Runs PROGRAM with its threads as user-level threads on N kernel threads.\n"
	"\n"
	"  -p N        sets GOMAXPROCS, 1 to 1024 (default: the CPUs that may be used)\n"
	"  -o OPTIONS  adds to the variable PRELOOM: key=value,... (help lists them)\n"
	"  --help      prints this\n"
	"  --version   prints the version\n";

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

/* Why preloading will not work for path, or NULL. */
static const char *find_obstacle(const char *path, int depth)
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
		return depth < SCRIPT_DEPTH ? find_obstacle(interp, depth + 1) : NULL;
	return why;
}

/* As execvp: a slash means a path; else the first executable in PATH. Returns 0 or the error to report. */
static int resolve(const char *program, char *path)
{
	const char *dirs = getenv("PATH");
	int err = ENOENT;
	struct stat st;

	if (!*program)
		return ENOENT;
	if (strchr(program, '/')) {
		if (snprintf(path, PATH_MAX, "%s", program) >= PATH_MAX)
			return ENAMETOOLONG;
		if (stat(path, &st) != 0)
			return errno;
		return S_ISDIR(st.st_mode) ? EISDIR : access(path, X_OK) == 0 ? 0 : EACCES;
	}
	for (const char *d = dirs ? dirs : "/bin:/usr/bin"; d;) {
		size_t n = strcspn(d, ":");

		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)n, d, n ? "/" : "", program) < PATH_MAX && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode)) {
			if (access(path, X_OK) == 0)
				return 0;
			err = EACCES;
		}
		d = d[n] ? d + n + 1 : NULL;
	}
	return err;
}

static bool is_elf(const char *path)
{
	struct file f;
	bool elf;

	if (!map_file(path, &f))
		return false;
	elf = f.size >= SELFMAG && !memcmp(f.p, ELFMAG, SELFMAG);
	munmap((void *)f.p, f.size);
	return elf;
}

/* Where the library is, seen from the launcher: the build tree or an installation. */
static bool find_library(char *lib)
{
	static const char *const places[] = {"", "../", "../lib/", "../lib/preloom/", "../lib/x86_64-linux-gnu/",
					     "../lib/x86_64-linux-gnu/preloom/", "../lib64/"};
	char self[PATH_MAX], candidate[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	slash[1] = '\0';
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		snprintf(candidate, sizeof candidate, "%s%slibpreloom.so", self, places[i]);
		if (access(candidate, R_OK) == 0)
			return realpath(candidate, lib) != NULL;
	}
	return false;
}

/* Sets name to value, or to value, separator and what it was before. */
static void put_in_front(const char *name, const char *value, char separator)
{
	const char *old = getenv(name);
	char *joined;

	if (!old || !*old) {
		setenv(name, value, 1);
		return;
	}
	if (asprintf(&joined, "%s%c%s", value, separator, old) < 0)
		exit(EXIT_CANNOT_RUN);
	setenv(name, joined, 1);
	free(joined);
}

/* Later options win, so -o goes behind what the variable says. */
static void add_options(const char *options)
{
	const char *old = getenv("PRELOOM");
	char *joined;

	if (!old || !*old) {
		setenv("PRELOOM", options, 1);
		return;
	}
	if (asprintf(&joined, "%s,%s", old, options) < 0)
		exit(EXIT_CANNOT_RUN);
	setenv("PRELOOM", joined, 1);
	free(joined);
}

static bool set_procs(const char *arg)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (errno || end == arg || *end || n < 1 || n > MAX_PROCS || arg[0] < '0' || arg[0] > '9') {
		fprintf(stderr, "preloom: -p %s: not a number from 1 to %d\n", arg, MAX_PROCS);
		return false;
	}
	setenv("GOMAXPROCS", arg, 1);
	return true;
}

/* Returns the index of the program, or exits. */
static int parse(int argc, char **argv)
{
	int i = argc > 1 && !strcmp(argv[1], "run") ? 2 : 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *value = NULL;
		char letter = argv[i][1];

		if (!strcmp(argv[i], "--"))
			return i + 1;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!strcmp(argv[i], "--version")) {
			puts("preloom " PRELOOM_VERSION);
			exit(0);
		}
		if (letter == 'p' || letter == 'o')
			value = argv[i][2] ? argv[i] + 2 : i + 1 < argc ? argv[++i] : NULL;
		if (!value) {
			if (letter == 'p' || letter == 'o')
				fprintf(stderr, "preloom: -%c: value missing\n", letter);
			else
				fprintf(stderr, "preloom: %s: unknown option (try --help)\n", argv[i]);
			exit(EXIT_USAGE);
		}
		if (letter == 'o')
			add_options(value);
		else if (!set_procs(value))
			exit(EXIT_USAGE);
	}
	return i;
}

int main(int argc, char **argv)
{
	int first = parse(argc, argv), err;
	char path[PATH_MAX], lib[PATH_MAX];
	const char *program = argv[first], *why;

	if (first >= argc) {
		fputs("preloom: no program given (try --help)\n", stderr);
		return EXIT_USAGE;
	}
	err = resolve(program, path);
	if (err) {
		fprintf(stderr, "preloom: %s: %s\n", program, err == ENOENT ? "not found" : strerror(err));
		return err == ENOENT || err == ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	}
	why = find_obstacle(path, 0);
	if (why)
		fprintf(stderr, "preloom: %s: %s; running it on kernel threads\n", program, why);
	else if (!find_library(lib))
		fprintf(stderr, "preloom: libpreloom.so not found beside the launcher; running %s on kernel threads\n", program);
	else
		put_in_front("LD_PRELOAD", lib, ':');
	if (is_elf(path))
		execv(path, argv + first);
	else
		execvp(program, argv + first); /* has the shell run a script without #! */
	err = errno;
	fprintf(stderr, "preloom: %s: %s\n", program, err == ENOENT ? "its interpreter was not found" : strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
