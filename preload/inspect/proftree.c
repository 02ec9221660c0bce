/* proftree.c - sums a profile up as a tree of calls, by name: frames of one function at different places are one node.
 *
 * Nodes and names come from blocks that are freed together.
 */
#include "proftree.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK (256u << 10)

struct block {
	struct block *next;
	size_t used, size;
	char data[];
};

static void *allot(struct proftree *p, size_t n)
{
	struct block *b = p->memory;
	n = (n + 15) & ~(size_t)15;
	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK ? n : BLOCK;
		struct block *more = calloc(1, sizeof(*more) + size);
		if (!more)
			return NULL;
		more->next = b;
		more->size = size;
		p->memory = b = more;
	}
	b->used += n;
	return b->data + b->used - n;
}

void proftree_free(struct proftree *p)
{
	struct block *b = p->memory, *next;
	for (; b; b = next) {
		next = b->next;
		free(b);
	}
	p->memory = NULL;
}

static uint32_t hash_of(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static struct tree_node *child_of(struct proftree *p, struct tree_node *n, const char *name)
{
	uint32_t h = hash_of(name);
	for (struct tree_node *c = n->child; c; c = c->next)
		if (c->hash == h && !strcmp(c->name, name))
			return c;
	struct tree_node *c = allot(p, sizeof(*c));
	char *copy = allot(p, strlen(name) + 1);
	if (!c || !copy)
		return NULL;
	strcpy(copy, name);
	*c = (struct tree_node){ .name = copy, .hash = h, .next = n->child, .parent = n };
	n->child = c;
	return c;
}

/* In the place of addresses: where no program has code. */
#define AT_KERNEL 1u
#define AT_PRELOOM 2u

static bool is_mark(uintptr_t pc)
{
	return pc == AT_KERNEL || pc == AT_PRELOOM;
}

/* All of a function without a name is one: where it begins, in its object. */
static void name_place(struct symbols *sym, uintptr_t pc, const struct symbol *s, char *buf, size_t n)
{
	const char *slash = strrchr(s->object, '/');
	uintptr_t start = symbols_function_start(sym, pc);
	uint64_t offset = start && pc - start <= s->offset ? s->offset - (pc - start) : s->offset;
	if (*s->object)
		snprintf(buf, n, "%s+0x%lx", slash ? slash + 1 : s->object, (unsigned long)offset);
	else
		snprintf(buf, n, "0x%lx", (unsigned long)(start ? start : pc));
}

size_t prof_names_at(struct symbols *sym, uintptr_t pc, const char **name, size_t max, char *buf, size_t n)
{
	const struct symbol *s;
	if (is_mark(pc)) {
		name[0] = pc == AT_KERNEL ? "[kernel]" : "[preloom]";
		return 1;
	}
	size_t k = symbols_at(sym, pc, false, &s);
	for (size_t i = 0; i < k && i < max; i++) {
		if (!s[i].function)
			name_place(sym, pc, &s[i], buf, n);
		name[i] = s[i].function ? s[i].function : buf;
	}
	return k < max ? k : max;
}

static bool is_below(const char *object)
{
	static const char *const names[] = { "libc.so", "libc-2", "libpthread", "ld-linux", "libpreloom" };
	const char *slash = strrchr(object, '/');
	object = slash ? slash + 1 : object;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(object, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool is_ours(const struct target *t, uintptr_t pc)
{
	return pc >= t->h.text_lo && pc < t->h.text_hi;
}

/* A system call that a signal interrupts is made again, or has been made: at or behind the instruction. */
static bool at_syscall(const struct target *t, uintptr_t pc)
{
	static const unsigned char insn[] = { 0x0f, 0x05 };
	unsigned char code[4];
	return target_read(t, pc - 2, code, sizeof(code)) && (!memcmp(code, insn, 2) || !memcmp(code + 2, insn, 2));
}

static bool in_vdso(const struct target *t, uintptr_t pc)
{
	const struct mapping *m = target_mapping(t, pc);
	return m && !strcmp(m->path, "[vdso]");
}

/* Several samples may have one stack, which the first of them has changed then. */
static void fold_stack(const struct target *t, struct prof_sample *x, uintptr_t *pc)
{
	/* preloom reads the clock there, too. */
	uint32_t n = x->npc > 1 && (is_ours(t, pc[1]) || is_mark(pc[1])) && in_vdso(t, pc[0]);
	while (n < x->npc && (is_ours(t, pc[n]) || is_mark(pc[n])))
		n++;
	if (!n)
		return;
	if (!is_mark(pc[n - 1]))
		pc[n - 1] = n < x->npc && at_syscall(t, pc[0]) ? AT_KERNEL : AT_PRELOOM;
	x->pc = pc + n - 1;
	x->npc -= n - 1;
}

void profdata_fold(struct profdata *d, const struct target *t)
{
	const char *level = getenv("GOTRACEBACK");
	if (level && (!strcmp(level, "system") || !strcmp(level, "crash")))
		return;
	for (size_t i = 0; i < d->n; i++) {
		struct prof_sample *x = &d->sample[i];
		bool runs = x->state == ProfRunning || x->state == ProfScheduler;
		if (x->npc && (d->type == ProfCpu || (d->type == ProfWall && runs)))
			fold_stack(t, x, d->words + (x->pc - d->words));
	}
}

void profdata_trim(struct profdata *d, struct symbols *sym)
{
	if (d->type == ProfCpu)
		return;
	for (size_t i = 0; i < d->n; i++) {
		struct prof_sample *x = &d->sample[i];
		const struct symbol *s;
		size_t k = 0, n;
		uint32_t drop = 0;
		if (d->type == ProfWall && (x->state == ProfRunning || x->state == ProfScheduler))
			continue;
		while (drop + 1 < x->npc && (n = symbols_at(sym, x->pc[drop], false, &s)) && is_below(s[0].object)) {
			k = n;
			x->call = s[k - 1].function;
			drop++;
		}
		x->pc += drop;
		x->npc -= drop;
	}
}

static struct tree_node *thread_node(struct proftree *p, struct tree_node *at, const struct prof_sample *s)
{
	const struct prof_thread *th = s->thread;
	char text[64];
	if (!th)
		return child_of(p, at, s->state == ProfScheduler ? "(scheduler)" : "(other threads)");
	snprintf(text, sizeof(text), "%s (goroutine %lu)", *th->name ? th->name : "thread", (unsigned long)th->goid);
	return child_of(p, at, text);
}

static bool add_sample(struct proftree *p, const struct profdata *d, const struct prof_sample *s, struct symbols *sym,
		       const struct proftree_options *o)
{
	int64_t v = o->counts ? s->count : s->value;
	struct tree_node *at = &p->root;
	char buf[256];
	if (v <= 0)
		return true;
	if (o->per_thread && d->type != ProfThreads)
		at = thread_node(p, at, s);
	for (uint32_t i = s->npc; i-- > 0 && at;) {
		const char *name[SYMBOL_DEPTH];
		size_t n = prof_names_at(sym, s->pc[i], name, SYMBOL_DEPTH, buf, sizeof(buf));
		while (n-- > 0 && at)
			at = child_of(p, at, name[n]);
	}
	if (at && s->npc == 0)
		at = child_of(p, at, "(unknown)");
	/* What it did, where that is not the same for all. */
	if (at && !s->call && (d->type == ProfBlock || (d->type == ProfWall && s->state != ProfRunning))) {
		snprintf(buf, sizeof(buf), "[%s]", prof_state_name(s->state));
		at = child_of(p, at, buf);
	}
	if (!at)
		return false;
	at->self += v;
	for (; at; at = at->parent)
		at->total += v;
	return true;
}

bool proftree_build(struct proftree *p, const struct profdata *d, struct symbols *sym, const struct proftree_options *o)
{
	*p = (struct proftree){ .root.name = "all", .unit = o->counts || d->type == ProfThreads ? "" : "ns" };
	for (size_t i = 0; i < d->n; i++)
		if (!add_sample(p, d, &d->sample[i], sym, o))
			return false;
	proftree_sort(p);
	return true;
}

static int by_total(const void *a, const void *b)
{
	const struct tree_node *x = *(struct tree_node *const *)a, *y = *(struct tree_node *const *)b;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void sort_children(struct tree_node *n)
{
	size_t k = 0;
	for (struct tree_node *c = n->child; c; c = c->next) {
		sort_children(c);
		k++;
	}
	struct tree_node **v = k > 1 ? malloc(k * sizeof(struct tree_node *)) : NULL;
	if (!v)
		return;
	k = 0;
	for (struct tree_node *c = n->child; c; c = c->next)
		v[k++] = c;
	qsort(v, k, sizeof(struct tree_node *), by_total);
	n->child = v[0];
	for (size_t i = 0; i < k; i++)
		v[i]->next = i + 1 < k ? v[i + 1] : NULL;
	free(v);
}

void proftree_sort(struct proftree *p)
{
	sort_children(&p->root);
}

/* --- functions --- */

struct collect {
	struct prof_function *f;
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct prof_function *)a)->name, ((const struct prof_function *)b)->name);
}

static int by_flat(const void *a, const void *b)
{
	const struct prof_function *x = a, *y = b;
	if (x->flat != y->flat)
		return x->flat > y->flat ? -1 : 1;
	if (x->cum != y->cum)
		return x->cum > y->cum ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_recursion(const struct tree_node *n)
{
	for (const struct tree_node *up = n->parent; up; up = up->parent)
		if (up->hash == n->hash && !strcmp(up->name, n->name))
			return true;
	return false;
}

static void collect(struct collect *c, const struct tree_node *n)
{
	for (; n; n = n->next) {
		if (c->n == c->cap) {
			size_t cap = c->cap ? 2 * c->cap : 256;
			struct prof_function *f = realloc(c->f, cap * sizeof(*f));
			if (!f)
				return;
			c->f = f;
			c->cap = cap;
		}
		c->f[c->n++] = (struct prof_function){ n->name, n->self, is_recursion(n) ? 0 : n->total };
		collect(c, n->child);
	}
}

struct prof_function *proftree_functions(const struct proftree *p, size_t *n)
{
	struct collect c = { 0 };
	size_t k = 0;
	collect(&c, p->root.child);
	if (c.n)
		qsort(c.f, c.n, sizeof(*c.f), by_name);
	for (size_t i = 0; i < c.n; i++) {
		if (k > 0 && !strcmp(c.f[k - 1].name, c.f[i].name)) {
			c.f[k - 1].flat += c.f[i].flat;
			c.f[k - 1].cum += c.f[i].cum;
		} else {
			c.f[k++] = c.f[i];
		}
	}
	if (k)
		qsort(c.f, k, sizeof(*c.f), by_flat);
	*n = k;
	return c.f;
}
