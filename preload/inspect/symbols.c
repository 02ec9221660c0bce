/* symbols.c - from an address in a process to function, object, file and line, by elfutils.
 *
 * Objects are opened through /proc/PID/root, so that a process in a chroot or another mount namespace has its own, and through
 * /proc/PID/map_files when the file is gone. Debug information is looked for where distributions install it, never on
 * the network. An address is looked up once: thousands of threads share few.
 */
#include "symbols.h"
#include "functions.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uintptr_t pc;
	bool is_return, used;
	size_t n;
	struct symbol *sym;
};

struct symbols {
	const struct target *t;
	Dwfl *dwfl;
	struct functions *functions; /* NULL: not asked for */
	struct entry *table;
	size_t size, used; /* size: a power of two */
	char **names;	   /* of objects: the target's maps come and go */
	size_t nnames;
};

extern char *__cxa_demangle(const char *name, char *buf, size_t *len, int *status); /* libstdc++ */

/* elfutils hands no data of ours to this callback in all versions: the process in question, while modules load. */
static const struct target *current;

static int find_elf(Dwfl_Module *mod, void **data, const char *name, Dwarf_Addr base, char **file, Elf **elf)
{
	if (name[0] != '/')
		return dwfl_linux_proc_find_elf(mod, data, name, base, file, elf);
	const struct mapping *m = target_mapping(current, base);
	*file = strdup(name);
	return m ? target_open_object(current, m) : -1;
}

static char *debug_path; /* elfutils: NULL stands for its default */

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.debuginfo_path = &debug_path,
};

/* Each run of mappings of one file, from its offset 0 on, is a module. */
static void report(struct symbols *s)
{
	const struct target *t = s->t;
	dwfl_report_begin(s->dwfl);
	for (size_t i = 0; i < t->nmaps;) {
		const struct mapping *m = &t->maps[i];
		size_t last = i;
		bool module = (m->path[0] == '/' && m->offset == 0 && m->inode) || !strcmp(m->path, "[vdso]");
		for (size_t k = i + 1; k < t->nmaps && module; k++) {
			bool same = t->maps[k].inode == m->inode && !strcmp(t->maps[k].path, m->path);
			if (same && t->maps[k].offset == 0)
				break;
			if (same)
				last = k;
			else if (t->maps[k].path[0] == '/')
				break;
		}
		bool code = false;
		for (size_t k = i; k <= last; k++)
			code |= t->maps[k].perms[2] == 'x';
		if (module && code)
			dwfl_report_module(s->dwfl, m->path, m->lo, t->maps[last].hi);
		i = last + 1;
	}
	dwfl_report_end(s->dwfl, NULL, NULL);
}

struct symbols *symbols_open(const struct target *t)
{
	struct symbols *s = calloc(1, sizeof(*s));
	unsetenv("DEBUGINFOD_URLS"); /* a dump asks nobody */
	if (s)
		s->dwfl = dwfl_begin(&callbacks);
	if (!s || !s->dwfl) {
		free(s);
		return NULL;
	}
	s->t = t;
	s->size = 1024;
	s->table = calloc(s->size, sizeof(*s->table));
	current = t;
	report(s);
	return s;
}

void symbols_close(struct symbols *s)
{
	for (size_t i = 0; i < s->size && s->table; i++) {
		struct entry *e = &s->table[i];
		for (size_t k = 0; k < e->n; k++)
			free((char *)e->sym[k].function);
		free(e->sym);
	}
	for (size_t i = 0; i < s->nnames; i++)
		free(s->names[i]);
	free(s->names);
	free(s->table);
	if (s->functions)
		functions_close(s->functions);
	dwfl_end(s->dwfl);
	free(s);
}

/* --- one address --- */

static char *readable(const char *name)
{
	int status = 1;
	char *plain = NULL;
	if (name && name[0] == '_' && name[1] == 'Z')
		plain = __cxa_demangle(name, NULL, NULL, &status);
	if (!plain && name && (plain = strdup(name)))
		plain[strcspn(plain, "@")] = 0; /* a version: pthread_cond_wait@@GLIBC_2.3.2 */
	return plain;
}

static const char *die_name(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &a));
	if (!name)
		name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a));
	return name ? name : dwarf_diename(die);
}

static const char *call_file(Dwarf_Die *cu, Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Word n;
	Dwarf_Files *files;
	size_t count;
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &a), &n) || dwarf_getsrcfiles(cu, &files, &count))
		return NULL;
	return dwarf_filesrc(files, n, NULL, NULL);
}

static int call_line(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Word n = 0;
	return dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &a), &n) ? 0 : (int)n;
}

/* The chain of inlined functions around pc, from the innermost outwards. The place that out[0] has already, of the
 * instruction, belongs to the innermost; each one's call place to the next. */
static size_t inlines(Dwfl_Module *mod, uintptr_t pc, struct symbol *out)
{
	Dwarf_Addr bias;
	Dwarf_Die *cu = dwfl_module_addrdie(mod, pc, &bias), *scopes = NULL, *chain = NULL;
	int n = cu ? dwarf_getscopes(cu, pc - bias, &scopes) : 0, m = 0;
	struct symbol real = out[0];
	size_t k = 0;
	/* The scopes of the abstract instance follow the first one: take the concrete one's parents. */
	if (n > 0)
		m = dwarf_getscopes_die(&scopes[0], &chain);
	for (int i = 0; i < m && k < SYMBOL_DEPTH - 1; i++) {
		if (dwarf_tag(&chain[i]) != DW_TAG_inlined_subroutine)
			continue;
		out[k] = (struct symbol){ .function = readable(die_name(&chain[i])), .offset = real.offset, .object = real.object,
					  .file = real.file, .line = real.line, .inlined = true };
		real.file = call_file(cu, &chain[i]);
		real.line = call_line(&chain[i]);
		k++;
	}
	free(scopes);
	free(chain);
	out[k] = real;
	return k + 1;
}

static const char *object_name(struct symbols *s, const char *path)
{
	for (size_t i = 0; i < s->nnames; i++)
		if (!strcmp(s->names[i], path))
			return s->names[i];
	char **more = realloc(s->names, (s->nnames + 1) * sizeof(*more));
	if (!more)
		return "";
	s->names = more;
	s->names[s->nnames] = strdup(path);
	return s->names[s->nnames] ? s->names[s->nnames++] : "";
}

static size_t look_up(struct symbols *s, uintptr_t at, uintptr_t pc, struct symbol *out)
{
	const struct mapping *m = target_mapping(s->t, at);
	out[0] = (struct symbol){ .object = m ? object_name(s, m->path) : "", .offset = m ? pc - m->lo + m->offset : pc };
	current = s->t;
	Dwfl_Module *mod = dwfl_addrmodule(s->dwfl, at);
	if (!mod)
		return 1;
	GElf_Off offset;
	GElf_Sym sym;
	Dwfl_Line *line;
	const char *name = dwfl_module_addrinfo(mod, at, &offset, &sym, NULL, NULL, NULL);
	if (name) {
		out[0].function = readable(name);
		out[0].offset = offset + (pc - at);
	}
	line = dwfl_module_getsrc(mod, at);
	if (line)
		out[0].file = dwfl_lineinfo(line, NULL, &out[0].line, NULL, NULL, NULL);
	return line ? inlines(mod, at, out) : 1;
}

/* --- the cache --- */

static struct entry *find(struct symbols *s, uintptr_t pc, bool is_return)
{
	size_t i = (pc * 0x9e3779b97f4a7c15UL >> 20) & (s->size - 1);
	while (s->table[i].used && (s->table[i].pc != pc || s->table[i].is_return != is_return))
		i = (i + 1) & (s->size - 1);
	return &s->table[i];
}

static bool grow(struct symbols *s)
{
	struct entry *old = s->table;
	size_t n = s->size;
	struct entry *bigger = calloc(2 * n, sizeof(*bigger));
	if (!bigger)
		return false;
	s->table = bigger;
	s->size = 2 * n;
	for (size_t i = 0; i < n; i++)
		if (old[i].used)
			*find(s, old[i].pc, old[i].is_return) = old[i];
	free(old);
	return true;
}

size_t symbols_at(struct symbols *s, uintptr_t pc, bool is_return, const struct symbol **out)
{
	static const struct symbol nothing = { .object = "" };
	*out = &nothing;
	if (!s->table || (s->used * 2 > s->size && !grow(s)))
		return 1;
	struct entry *e = find(s, pc, is_return);
	if (!e->used) {
		struct symbol found[SYMBOL_DEPTH];
		size_t n = look_up(s, pc - is_return, pc, found);
		e->sym = malloc(n * sizeof(*found));
		if (!e->sym)
			return 1;
		memcpy(e->sym, found, n * sizeof(*found));
		*e = (struct entry){ .pc = pc, .is_return = is_return, .used = true, .n = n, .sym = e->sym };
		s->used++;
	}
	*out = e->sym;
	return e->n;
}

/* std::thread runs a function of a class that is made of what it was given: "main::{lambda()#1}", or with arguments
 * "void (*)(int), int". std::async wraps one such class into another. */
static bool given_to_thread(const char *function, char *buf, size_t n)
{
	static const char before[] = "std::thread::_Invoker<std::tuple<", run[] = "::_M_run()";
	const char *from = NULL, *end = strstr(function, run);
	for (const char *p = function; (p = strstr(p, before)); from = p)
		p += sizeof(before) - 1;
	if (!from || !end || end[sizeof(run) - 1])
		return false;
	int depth = 0;
	for (end = from; *end && (depth > 0 || *end != '>' || (end > from && end[-1] == '-')); end++)
		depth += *end == '<' ? 1 : *end == '>' && end[-1] != '-' ? -1 : 0;
	while (end > from && end[-1] == ' ')
		end--;
	snprintf(buf, n, "std::thread of %.*s", (int)(end - from), from);
	return true;
}

const char *symbols_entry(struct symbols *s, uintptr_t entry, char *buf, size_t n)
{
	const struct symbol *sym;
	size_t k = entry ? symbols_at(s, entry, false, &sym) : 0;
	const char *slash = k ? strrchr(sym[k - 1].object, '/') : NULL;
	buf[0] = 0;
	if (k && sym[k - 1].function)
		return given_to_thread(sym[k - 1].function, buf, n) ? buf : sym[k - 1].function;
	if (slash)
		snprintf(buf, n, "%s+%#lx", slash + 1, (long)sym[k - 1].offset);
	return buf;
}

uintptr_t symbols_function_start(struct symbols *s, uintptr_t pc)
{
	if (!s->functions)
		s->functions = functions_open(s->t);
	return s->functions ? function_start(s->functions, pc) : 0;
}
