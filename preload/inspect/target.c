/* target.c - a process that preloom runs in, seen from outside.
 *
 * libpreloom.so is found in /proc/PID/maps, and its symbol preloom_inspect in the object's dynamic symbol table, read from
 * the process's memory: the file may be gone, in another mount namespace or of another build than the one beside us. The
 * name of the file alone does not decide: the magic number does. Memory is read by process_vm_readv, which needs no
 * stop and no help of the process.
 */
#include "target.h"
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define IOV_AT_ONCE 512
#define MAX_STRING 64
#define MAX_DYNAMIC 256
#define MAX_CHAIN 4096

size_t target_read_some(const struct target *t, uintptr_t addr, void *buf, size_t n)
{
	size_t done = 0;
	while (done < n) {
		/* Up to the end of a page at a time when a larger piece fails. */
		struct iovec l = { (char *)buf + done, n - done }, r = { (void *)(addr + done), n - done };
		ssize_t got = process_vm_readv(t->pid, &l, 1, &r, 1, 0);
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

bool target_read(const struct target *t, uintptr_t addr, void *buf, size_t n)
{
	return target_read_some(t, addr, buf, n) == n;
}

bool target_write(const struct target *t, uintptr_t addr, const void *buf, size_t n)
{
	struct iovec l = { (void *)buf, n }, r = { (void *)addr, n };
	return process_vm_writev(t->pid, &l, 1, &r, 1, 0) == (ssize_t)n;
}

/* Pieces that lie side by side there are one for the kernel, which looks up their pages once. A call stops at the first piece
 * that cannot be read: go on behind it. */
size_t target_read_many(const struct target *t, const uintptr_t *addr, void *const *buf, size_t n, size_t size, bool *ok)
{
	struct iovec l[IOV_AT_ONCE], r[IOV_AT_ONCE];
	size_t good = 0;
	for (size_t i = 0; i < n;) {
		size_t k = n - i < IOV_AT_ONCE ? n - i : IOV_AT_ONCE, runs = 0;
		for (size_t j = 0; j < k; j++) {
			l[j] = (struct iovec){ buf[i + j], size };
			if (j && addr[i + j] == addr[i + j - 1] + size)
				r[runs - 1].iov_len += size;
			else
				r[runs++] = (struct iovec){ (void *)addr[i + j], size };
		}
		ssize_t got = process_vm_readv(t->pid, l, k, r, runs, 0);
		size_t whole = got > 0 ? (size_t)got / size : 0;
		for (size_t j = 0; j < whole; j++)
			ok[i + j] = true;
		good += whole;
		i += whole;
		if (whole < k)
			ok[i++] = false;
	}
	return good;
}

/* --- mappings --- */

static void free_maps(struct target *t)
{
	for (size_t i = 0; i < t->nmaps; i++)
		free(t->maps[i].path);
	free(t->maps);
	t->maps = NULL;
	t->nmaps = 0;
}

static bool parse_mapping(const char *line, struct mapping *m)
{
	unsigned long lo, hi, offset, inode;
	int at = 0;
	if (sscanf(line, "%lx-%lx %4s %lx %*s %lu %n", &lo, &hi, m->perms, &offset, &inode, &at) < 5)
		return false;
	m->lo = lo;
	m->hi = hi;
	m->offset = offset;
	m->inode = inode;
	m->path = strdup(at ? line + at : "");
	if (!m->path)
		return false;
	m->path[strcspn(m->path, "\n")] = 0;
	return true;
}

bool target_reload_maps(struct target *t)
{
	char name[64], *line = NULL;
	size_t cap = 0, room = 0;
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)t->pid);
	FILE *f = fopen(name, "re");
	if (!f)
		return false;
	free_maps(t);
	while (getline(&line, &cap, f) > 0) {
		if (t->nmaps == room) {
			size_t more = room ? 2 * room : 256;
			struct mapping *p = realloc(t->maps, more * sizeof(*p));
			if (!p)
				break;
			t->maps = p;
			room = more;
		}
		if (parse_mapping(line, &t->maps[t->nmaps]))
			t->nmaps++;
	}
	bool failed = ferror(f) && t->nmaps == 0;
	free(line);
	fclose(f);
	return !failed;
}

uint64_t target_objects(const struct target *t)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < t->nmaps; i++)
		if (t->maps[i].perms[2] == 'x')
			h = ((h ^ t->maps[i].lo) * 0x100000001b3ULL ^ t->maps[i].inode) * 0x100000001b3ULL;
	return h;
}

const struct mapping *target_mapping(const struct target *t, uintptr_t addr)
{
	size_t lo = 0, hi = t->nmaps;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct mapping *m = &t->maps[mid];
		if (addr < m->lo)
			hi = mid;
		else if (addr >= m->hi)
			lo = mid + 1;
		else
			return m;
	}
	return NULL;
}

/* The links in /proc/PID/map_files lead to files that were deleted, too. The last way is for a process that has ended. */
int target_open_object(const struct target *t, const struct mapping *m)
{
	char name[PATH_MAX + 64];
	if (m->path[0] != '/')
		return -1;
	snprintf(name, sizeof(name), "/proc/%d/root%s", (int)t->pid, m->path);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(name, sizeof(name), "/proc/%d/map_files/%lx-%lx", (int)t->pid, (long)m->lo, (long)m->hi);
		fd = open(name, O_RDONLY | O_CLOEXEC);
	}
	return fd < 0 && t->same_root ? open(m->path, O_RDONLY | O_CLOEXEC) : fd;
}

static bool has_our_root(pid_t pid)
{
	struct stat ours, its;
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/root/.", (int)pid);
	return !stat("/", &ours) && !stat(name, &its) && ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

/* --- dynamic symbols --- */

struct dynsym {
	uintptr_t symtab, strtab, gnu_hash, hash;
};

static bool find_dynamic(const struct target *t, uintptr_t base, uintptr_t *dyn, uintptr_t *load)
{
	Elf64_Ehdr eh;
	if (!target_read(t, base, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_phnum > 64 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof(Elf64_Phdr))
		return false;
	Elf64_Phdr ph[64];
	if (!target_read(t, base + eh.e_phoff, ph, eh.e_phnum * sizeof(*ph)))
		return false;
	bool has_load = false;
	*dyn = 0;
	for (int i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !has_load) {
			*load = base - (ph[i].p_vaddr & ~0xfffUL);
			has_load = true;
		}
		if (ph[i].p_type == PT_DYNAMIC)
			*dyn = ph[i].p_vaddr;
	}
	*dyn += *load;
	return has_load && *dyn != *load;
}

static bool read_dynamic(const struct target *t, uintptr_t dyn, uintptr_t load, struct dynsym *d)
{
	*d = (struct dynsym){ 0 };
	for (int i = 0; i < MAX_DYNAMIC; i++) {
		Elf64_Dyn e;
		if (!target_read(t, dyn + (size_t)i * sizeof(e), &e, sizeof(e)) || e.d_tag == DT_NULL)
			break;
		/* ld.so relocates these in place, except in the vDSO and in objects with a read-only dynamic section. */
		uintptr_t v = e.d_un.d_ptr < load ? e.d_un.d_ptr + load : e.d_un.d_ptr;
		if (e.d_tag == DT_SYMTAB)
			d->symtab = v;
		else if (e.d_tag == DT_STRTAB)
			d->strtab = v;
		else if (e.d_tag == DT_GNU_HASH)
			d->gnu_hash = v;
		else if (e.d_tag == DT_HASH)
			d->hash = v;
	}
	return d->symtab && d->strtab && (d->gnu_hash || d->hash);
}

static uintptr_t symbol_value(const struct target *t, const struct dynsym *d, uint32_t i, const char *name, uintptr_t load)
{
	Elf64_Sym s;
	char have[MAX_STRING] = "";
	if (!target_read(t, d->symtab + (size_t)i * sizeof(s), &s, sizeof(s)) || s.st_shndx == SHN_UNDEF)
		return 0;
	size_t n = strlen(name) + 1;
	if (n > sizeof(have) || !target_read(t, d->strtab + s.st_name, have, n) || memcmp(have, name, n))
		return 0;
	return load + s.st_value;
}

static uintptr_t lookup_gnu(const struct target *t, const struct dynsym *d, const char *name, uintptr_t load)
{
	uint32_t head[4], h = 5381, i, chain;
	for (const char *p = name; *p; p++)
		h = h * 33 + (unsigned char)*p;
	if (!target_read(t, d->gnu_hash, head, sizeof(head)) || head[0] == 0)
		return 0;
	uintptr_t buckets = d->gnu_hash + 16 + head[2] * 8UL, chains = buckets + head[0] * 4UL;
	if (!target_read(t, buckets + h % head[0] * 4UL, &i, 4) || i < head[1])
		return 0;
	for (int n = 0; n < MAX_CHAIN; n++, i++) {
		if (!target_read(t, chains + (i - head[1]) * 4UL, &chain, 4))
			return 0;
		uintptr_t v = (chain | 1) == (h | 1) ? symbol_value(t, d, i, name, load) : 0;
		if (v || (chain & 1))
			return v;
	}
	return 0;
}

static uintptr_t lookup_all(const struct target *t, const struct dynsym *d, const char *name, uintptr_t load)
{
	uint32_t head[2];
	if (!target_read(t, d->hash, head, sizeof(head)))
		return 0;
	for (uint32_t i = 1; i < head[1] && i < 100000; i++) {
		uintptr_t v = symbol_value(t, d, i, name, load);
		if (v)
			return v;
	}
	return 0;
}

uintptr_t target_symbol(const struct target *t, uintptr_t base, const char *name)
{
	uintptr_t dyn, load;
	struct dynsym d;
	if (!find_dynamic(t, base, &dyn, &load) || !read_dynamic(t, dyn, load, &d))
		return 0;
	return d.gnu_hash ? lookup_gnu(t, &d, name, load) : lookup_all(t, &d, name, load);
}

/* --- opening --- */

static bool looks_like_us(const struct mapping *m)
{
	const char *slash = strrchr(m->path, '/');
	return m->offset == 0 && slash && strstr(slash, "preloom") && strstr(slash, ".so");
}

static char message[256];

static const char *say(const char *fmt, int pid, const char *more)
{
	snprintf(message, sizeof(message), fmt, pid, more);
	return message;
}

/* Why a read of the process's memory was refused. */
static const char *refused(pid_t pid)
{
	char scope = '0';
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	if (f) {
		if (fread(&scope, 1, 1, f) != 1)
			scope = '0';
		fclose(f);
	}
	if (scope != '0' && geteuid() != 0)
		return say("process %d: not permitted (kernel.yama.ptrace_scope is %.1s: run as root, or set it to 0)", pid,
			   (char[]){ scope, 0 });
	return say("process %d: not permitted (it belongs to another user, or made itself unreadable; run as %s)", pid,
		   geteuid() ? "its owner or as root" : "root with CAP_SYS_PTRACE in its user namespace");
}

static const char *find_header(struct target *t)
{
	bool denied = false, seen = false;
	for (size_t i = 0; i < t->nmaps && !t->where; i++) {
		const struct mapping *m = &t->maps[i];
		if (!looks_like_us(m))
			continue;
		char probe[4];
		seen = true;
		if (!target_read(t, m->lo, probe, 4)) {
			denied = errno == EPERM;
			continue;
		}
		uintptr_t where = target_symbol(t, m->lo, INSPECT_SYMBOL);
		uint64_t magic;
		if (where && target_read(t, where, &magic, 8) && magic == INSPECT_MAGIC) {
			t->base = m->lo;
			t->where = where;
		}
	}
	if (t->where)
		return NULL;
	if (denied)
		return refused(t->pid);
	return seen ? say("process %d: its libpreloom.so is of another version than this command%s", t->pid, "")
		    : say("process %d: preloom is not loaded in it (start it with `preloom PROGRAM`)%s", t->pid, "");
}

static const char *check_header(struct target *t)
{
	struct inspect_header *h = &t->h;
	if (target_read_some(t, t->where, h, sizeof(*h)) < offsetof(struct inspect_header, sched))
		return refused(t->pid);
	if (h->version != INSPECT_VERSION || h->size != sizeof(*h))
		return say("process %d: its libpreloom.so is of another version than this command%s", t->pid, "");
	if (!h->activated)
		return say("process %d: it has made no thread yet, so preloom is not active in it%s", t->pid, "");
	if (h->layout != inspect_layout())
		return say("process %d: its libpreloom.so is of another build than this command%s", t->pid, "");
	return NULL;
}

static const char *no_memory(pid_t pid)
{
	return say("process %d: it has no memory of its own (a kernel thread, or it is ending)%s", pid, "");
}

struct target *target_open(pid_t pid, const char **why)
{
	struct target *t = calloc(1, sizeof(*t));
	if (!t) {
		*why = "out of memory";
		return NULL;
	}
	t->pid = pid;
	t->same_root = has_our_root(pid);
	*why = NULL;
	if (kill(pid, 0) != 0 && errno == ESRCH)
		*why = say("process %d: no such process%s", pid, "");
	else if (!target_reload_maps(t))
		*why = errno == ENOENT || errno == ESRCH ? say("process %d: no such process%s", pid, "") : refused(pid);
	else if (t->nmaps == 0)
		*why = no_memory(pid);
	else {
		*why = find_header(t);
		if (!*why)
			*why = check_header(t);
		/* A process that ends while it is being read looks as if it were unreadable or strange. */
		if (*why && (!target_reload_maps(t) || t->nmaps == 0))
			*why = no_memory(pid);
	}
	if (*why) {
		target_close(t);
		return NULL;
	}
	return t;
}

void target_close(struct target *t)
{
	free_maps(t);
	free(t);
}

struct target *target_open_arg(const char *command, const char *word)
{
	char *end;
	errno = 0;
	long pid = strtol(word, &end, 10);
	if (!isdigit((unsigned char)*word) || *end || errno || pid <= 0 || pid > INT_MAX) {
		fprintf(stderr, "preloom %s: %s: not a process id (a number above 0)\n", command, word);
		return NULL;
	}
	const char *why;
	struct target *t = target_open((pid_t)pid, &why);
	if (!t)
		fprintf(stderr, "preloom %s: %s\n", command, why);
	return t;
}
