/* sitesprint.c - the listing behind PRELOOM=sites=1.
 *
 * A line per object and one per site, written as they are formatted, without stdio's buffers, whose locks the program may hold.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/x86_64/sysname.h"
#include "sites.h"

static const char *const states[] = {
	[SITE_REWRITTEN] = "rewritten",
	[SITE_NOT_NEEDED] = "not needed",
	[SITE_REFUSED] = "refused",
};

static const char *const reasons[] = {
	[REASON_NONE] = "",
	[REASON_SIGRETURN] = "rt_sigreturn stays",
	[REASON_BRANCH_TO_SITE] = "branch to syscall",
	[REASON_NO_BOUNDS] = "function bounds not known",
	[REASON_NO_SPAN] = "no room for a jump",
	[REASON_BRANCH_INTO_SPAN] = "branch into the span",
	[REASON_INDIRECT] = "indirect jump in the function",
	[REASON_NO_ROOM] = "no memory within reach",
	[REASON_NOT_WRITABLE] = "text cannot be made writable",
};

static void put_line(int fd, const char *line, int n, size_t cap)
{
	size_t left = n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;

	while (left) {
		ssize_t w = write(fd, line, left);
		if (w <= 0)
			return;
		line += w;
		left -= (size_t)w;
	}
}

static void print_object(int fd, const struct table *t)
{
	unsigned n[3] = {0};
	char line[256];
	int len;

	for (size_t i = 0; i < t->n; i++)
		n[t->site[i].state]++;
	len = snprintf(line, sizeof line, "%s: %zu sites, %u rewritten, %u not needed, %u refused\n", t->object.name, t->n,
		       n[SITE_REWRITTEN], n[SITE_NOT_NEEDED], n[SITE_REFUSED]);
	put_line(fd, line, len, sizeof line);
}

static void print_site(int fd, const struct object *o, const struct site *s)
{
	const Elf64_Sym *sym = object_symbol(o, s->addr, false);
	const char *reason = reasons[s->reason];
	char line[256], nr[48] = "(any number)", where[64] = "-";
	int len;

	if (s->nr >= 0)
		snprintf(nr, sizeof nr, "%d %s", s->nr, sysname(s->nr));
	if (sym && (!sym->st_size || s->addr < o->base + sym->st_value + sym->st_size))
		snprintf(where, sizeof where, "%.56s", o->strtab + sym->st_name);
	len = snprintf(line, sizeof line, "  %#lx +%#lx %s: %s: %s%s%s\n", (unsigned long)s->addr, (unsigned long)(s->addr - o->base),
		       where, nr, states[s->state], *reason ? ", " : "", reason);
	put_line(fd, line, len, sizeof line);
}

void sites_print(int fd)
{
	for (struct table *t = table_first(); t; t = table_next(t)) {
		if (!atomic_load_explicit(&t->live, memory_order_relaxed))
			continue;
		print_object(fd, t);
		for (size_t i = 0; i < t->n; i++)
			print_site(fd, &t->object, &t->site[i]);
	}
}
