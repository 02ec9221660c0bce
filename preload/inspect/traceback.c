/* traceback.c - prints captured G's as Go prints goroutines: a head line with what it waits for and how long, the thread, its
 * stack, who made it. Stacks that more than 100 G's have in common are printed once.
 *
 * Two passes: the first unwinds each G, works out its reason and counts equal stacks; circles of waiting threads come
 * next, as they are what a reader looks for; the second pass prints.
 */
#include "traceback.h"
#include "cycle.h"
#include "stacks.h"
#include <stdlib.h>
#include <string.h>

#define MANY 100
#define SHOWN_FRAMES 100 /* of a stack: as many inner as outer ones */
#define GOIDS_LISTED 8

struct item {
	struct frame *f;
	uint32_t n;
	size_t left_out;
	bool cut;
	const char *end;
	uint64_t hash;
	uint32_t group; /* place in groups */
};

struct group {
	uint64_t hash;
	uint32_t count, first, last; /* items */
};

struct print {
	FILE *f;
	const struct capture *c;
	struct symbols *sym;
	const struct traceback_options *o;
	struct stacks *stacks;
	struct item *items;
	struct reason *reasons;
	bool *circle; /* is in one */
	bool found_circles;
	struct group *groups;
	uint32_t ngroups;
	uint32_t *table; /* hash → 1 + group */
	size_t table_size;
};

/* --- first pass --- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	return (h ^ v) * 0x100000001b3ULL;
}

static void keep(struct print *p, size_t i, const struct stack *st)
{
	struct item *it = &p->items[i];
	uint64_t h = 0xcbf29ce484222325ULL;
	it->f = malloc((st->n + 1) * sizeof(*it->f));
	for (size_t k = 0; it->f && k < st->n; k++) {
		if (st->f[k].ours && !p->o->system)
			continue;
		it->f[it->n++] = st->f[k];
		h = mix(h, st->f[k].pc);
	}
	for (const char *s = p->reasons[i].state; *s; s++)
		h = mix(h, (unsigned char)*s);
	/* Each may wait for an object of its own: the first one's is told. */
	it->hash = mix(h, p->reasons[i].owner ? p->reasons[i].owner->g.goid : 0);
	it->left_out = st->left_out;
	it->cut = st->cut;
	it->end = st->end;
}

static void join_group(struct print *p, uint32_t i)
{
	uint64_t h = p->items[i].hash;
	size_t at = h >> 7 & (p->table_size - 1);
	while (p->table[at] && p->groups[p->table[at] - 1].hash != h)
		at = (at + 1) & (p->table_size - 1);
	if (!p->table[at]) {
		p->groups[p->ngroups] = (struct group){ .hash = h, .first = i };
		p->table[at] = ++p->ngroups;
	}
	p->items[i].group = p->table[at] - 1;
	struct group *g = &p->groups[p->table[at] - 1];
	g->count++;
	g->last = i;
}

static bool wanted(const struct print *p, size_t i)
{
	const struct g *g = &p->c->s.g[i].g;
	if (p->o->only && g->goid != p->o->only)
		return false;
	return !p->o->circles || !p->found_circles || p->circle[i];
}

static void unwind_all(struct print *p)
{
	const struct snapshot *s = &p->c->s;
	for (size_t i = 0; i < s->ng; i++) {
		struct stack st;
		if (p->o->context && s->g[i].g.goid == p->o->first)
			stack_of_context(p->stacks, p->o->context, &st);
		else
			stack_of(p->stacks, &s->g[i], &st);
		reason_of(p->c, p->sym, &s->g[i], &st, &p->reasons[i]);
		keep(p, i, &st);
		if (wanted(p, i))
			join_group(p, (uint32_t)i);
	}
}

/* --- second pass --- */

static void print_symbol(struct print *p, const struct symbol *s, uintptr_t pc)
{
	if (s->inlined)
		fprintf(p->f, "%s (inlined)\n", s->function ? s->function : "?");
	else if (s->function)
		fprintf(p->f, "%s+%#lx\n", s->function, (long)s->offset);
	else
		fprintf(p->f, "%#lx\n", (long)pc);
	if (s->file)
		fprintf(p->f, "\t%s:%d in %s\n", s->file, s->line, s->object);
	else if (s->function)
		fprintf(p->f, "\tin %s\n", s->object[0] ? s->object : "memory without a file");
	else
		fprintf(p->f, "\tin %s+%#lx\n", s->object[0] ? s->object : "memory without a file", (long)s->offset);
}

static void print_pc(struct print *p, uintptr_t pc, bool is_return)
{
	const struct symbol *s;
	size_t n = symbols_at(p->sym, pc, is_return, &s);
	for (size_t i = 0; i < n; i++)
		print_symbol(p, &s[i], pc);
}

static void print_stack(struct print *p, const struct item *it)
{
	for (uint32_t i = 0; i < it->n; i++) {
		if (it->n > SHOWN_FRAMES && i == SHOWN_FRAMES / 2) {
			uint32_t hidden = it->n - SHOWN_FRAMES;
			fprintf(p->f, "...%zu frames are left out...\n", it->left_out + hidden);
			i += hidden;
		}
		if (it->f[i].handler)
			fprintf(p->f, "[signal]\n");
		print_pc(p, it->f[i].pc, it->f[i].is_return);
	}
	if (it->cut)
		fprintf(p->f, "...more frames than %d...\n", STACK_DEEPEST);
	if (it->end)
		fprintf(p->f, "(the stack ends here: %s)\n", it->end);
}

static void print_thread(struct print *p, const struct g *g)
{
	char time[48], text[256];
	const char *entry = symbols_entry(p->sym, g->entry, text, sizeof(text));
	fprintf(p->f, "\tthread %u \"%.*s\"", g->tid, GNAME_LEN, g->name);
	if (*entry)
		fprintf(p->f, ", entry %s", entry);
	if (g->lockedm) {
		char why[128] = "";
		size_t n = g->wired_why ? target_read_some(p->c->t, (uintptr_t)g->wired_why, why, sizeof(why) - 1) : 0;
		why[n < sizeof(why) ? n : 0] = 0;
		reason_time(p->c->s.now - g->wired_since, time, sizeof(time));
		fprintf(p->f, ", wired to its kernel thread for %s: %s", time, why[0] ? why : "unknown reason");
	}
	fputc('\n', p->f);
}

static void print_head(struct print *p, size_t i)
{
	const struct g *g = &p->c->s.g[i].g;
	const struct reason *r = &p->reasons[i];
	int64_t ns = snapshot_since(&p->c->s, g);
	char time[48];
	fprintf(p->f, "goroutine %lu [%s", (unsigned long)g->goid, r->state);
	if (ns >= 0 && r->kind != ReasonRunning && r->kind != ReasonSyscall) {
		reason_time(ns, time, sizeof(time));
		fprintf(p->f, ", %s", time);
	}
	if (r->owner && r->kind != ReasonJoin)
		fprintf(p->f, ", owner goroutine %lu", (unsigned long)r->owner->g.goid);
	fputs("]:\n", p->f);
}

/* The library that made it on somebody's behalf; ends the line. */
static void print_through(struct print *p, const struct g *g)
{
	const struct symbol *s;
	size_t n = g->created_through ? symbols_at(p->sym, g->created_through, true, &s) : 0;
	const char *slash = n ? strrchr(s[n - 1].object, '/') : NULL;
	fprintf(p->f, slash ? ", by way of %s\n" : "\n", slash ? slash + 1 : "");
}

static void print_creator(struct print *p, const struct g *g)
{
	const struct symbol *s;
	if (!g->created_at || !g->parent_goid)
		return;
	size_t n = symbols_at(p->sym, g->created_at, true, &s);
	/* The library's templates are compiled into the program: not inlined, they are a frame of it. */
	if (g->created_above && s[n - 1].function && !strncmp(s[n - 1].function, "std::", 5))
		n = symbols_at(p->sym, g->created_above, true, &s);
	if (!s[n - 1].function)
		fprintf(p->f, "created by goroutine %lu", (unsigned long)g->parent_goid);
	else
		fprintf(p->f, "created by %s+%#lx in goroutine %lu", s[n - 1].function, (long)s[n - 1].offset,
			(unsigned long)g->parent_goid);
	print_through(p, g);
	if (s[n - 1].file)
		fprintf(p->f, "\t%s:%d in %s\n", s[n - 1].file, s[n - 1].line, s[n - 1].object);
	else if (s[n - 1].object[0] && s[n - 1].function)
		fprintf(p->f, "\tin %s\n", s[n - 1].object);
	else if (s[n - 1].object[0])
		fprintf(p->f, "\tin %s+%#lx\n", s[n - 1].object, (long)s[n - 1].offset);
}

static void print_others(struct print *p, const struct group *gr)
{
	uint32_t listed = 0;
	fprintf(p->f, "\tand %u more with this stack: goroutines", gr->count - 1);
	for (size_t i = gr->first + 1; i <= gr->last && listed < GOIDS_LISTED; i++)
		if (wanted(p, i) && p->items[i].group == p->items[gr->first].group)
			fprintf(p->f, "%s %lu", listed++ ? "," : "", (unsigned long)p->c->s.g[i].g.goid);
	fprintf(p->f, ", ... %lu\n", (unsigned long)p->c->s.g[gr->last].g.goid);
}

static void print_block(struct print *p, size_t i)
{
	const struct g *g = &p->c->s.g[i].g;
	const struct group *gr = &p->groups[p->items[i].group];
	bool grouped = gr->count > MANY && g->goid != p->o->first;
	if (grouped && gr->first != i)
		return;
	print_head(p, i);
	print_thread(p, g);
	if (p->reasons[i].detail[0])
		fprintf(p->f, "\t%s\n", p->reasons[i].detail);
	if (grouped)
		print_others(p, gr);
	if (p->o->stacks)
		print_stack(p, &p->items[i]);
	print_creator(p, g);
	fputc('\n', p->f);
}

static void print_all(struct print *p)
{
	const struct snapshot *s = &p->c->s;
	for (size_t i = 0; i < s->ng && p->o->first; i++)
		if (s->g[i].g.goid == p->o->first && wanted(p, i))
			print_block(p, i);
	for (size_t i = 0; i < s->ng; i++)
		if (s->g[i].g.goid != p->o->first && wanted(p, i))
			print_block(p, i);
}

bool traceback_print(FILE *f, const struct capture *c, struct stacks *k, struct symbols *sym, const struct traceback_options *o)
{
	size_t n = c->s.ng + 1;
	struct print p = { .f = f, .c = c, .sym = sym, .o = o, .stacks = k, .table_size = 1024 };
	while (p.table_size < 2 * n)
		p.table_size *= 2;
	p.items = calloc(n, sizeof(*p.items));
	p.reasons = calloc(n, sizeof(*p.reasons));
	p.circle = calloc(n, sizeof(*p.circle));
	p.groups = calloc(n, sizeof(*p.groups));
	p.table = calloc(p.table_size, sizeof(*p.table));
	bool ok = p.items && p.reasons && p.circle && p.groups && p.table;
	if (ok) {
		unwind_all(&p);
		if (!o->only)
			p.found_circles = cycles_print(f, c, sym, p.reasons, p.circle) > 0;
		print_all(&p);
	}
	for (size_t i = 0; ok && i < c->s.ng; i++)
		free(p.items[i].f);
	free(p.items);
	free(p.reasons);
	free(p.circle);
	free(p.groups);
	free(p.table);
	return ok;
}
