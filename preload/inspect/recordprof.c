/* recordprof.c - the profiles of a recording: taken over from the process, and as flame graphs for the page.
 *
 * They also tell where a thread begins for the program: C++'s std::thread gives the same function of its library to every
 * thread, so the outermost frame of a thread's samples that is neither the library's nor the C library's is taken.
 */
#include "record.h"
#include <stdlib.h>
#include <string.h>

#define SMALLEST 20000 /* a box that is a smaller part of the whole is not drawn */

static const enum prof_type types[NFlame] = { ProfCpu, ProfBlock, ProfMutex };
static const char *const titles[NFlame] = { "CPU", "waiting", "locks: who made others wait" };

void record_profiles_begin(struct recording *r)
{
	for (int i = 0; i < NFlame; i++)
		r->flame[i].begun = profile_begin(r->w.t, types[i], 0, 1e6, &r->flame[i].run);
}

/* --- where threads begin --- */

static bool of_a_library(const struct symbol *s)
{
	static const char *const names[] = { "libc.so", "libc-2", "libpthread", "ld-linux", "libpreloom", "libstdc++", "libc++" };
	const char *slash = strrchr(s->object, '/'), *object = slash ? slash + 1 : s->object;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(object, names[i], strlen(names[i])))
			return true;
	/* Templates of the library are compiled into the program. */
	return s->function && (!strncmp(s->function, "std::", 5) || strstr(s->function, " std::__invoke") ||
			       !strncmp(s->function, "_ZNSt", 5) || !strncmp(s->function, "_ZSt", 4));
}

static void learn_beginnings(struct recording *r, const struct profdata *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct prof_sample *s = &d->sample[i];
		struct trace_g *g = s->thread ? tracemodel_g(r->w.tm, s->thread->goid) : NULL;
		for (uint32_t k = s->npc; g && !g->begins && k-- > 0;) {
			const struct symbol *sym;
			size_t n = symbols_at(r->w.symbols, s->pc[k], false, &sym);
			while (n-- > 0 && !g->begins)
				if (!of_a_library(&sym[n]))
					g->begins = sym[n].function ? sym[n].function : watch_function(&r->w, s->pc[k]);
		}
	}
}

/* --- the end --- */

void record_profiles_end(struct recording *r, bool ours)
{
	const struct proftree_options o = { false, false };
	for (int i = 0; i < NFlame; i++) {
		struct flame *f = &r->flame[i];
		struct profdata d;
		bool got = ours ? profdata_read(r->w.t, types[i], &d) : f->begun && profile_end(r->w.t, &f->run, &d);
		if (!got)
			continue;
		learn_beginnings(r, &d);
		profdata_fold(&d, r->w.t);
		profdata_trim(&d, r->w.symbols);
		f->have = proftree_build(&f->tree, &d, r->w.symbols, &o);
		if (f->have)
			proftree_sort(&f->tree);
		profdata_free(&d);
	}
}

void record_profiles_free(struct recording *r)
{
	for (int i = 0; i < NFlame; i++)
		if (r->flame[i].have)
			proftree_free(&r->flame[i].tree);
}

/* --- for the page --- */

/* Names by number, in the order of their first use. */
struct names {
	const char **v;
	uint32_t *slot;
	size_t n, room, nslots;
};

static uint64_t hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	while (*s)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

static size_t place(const struct names *t, const char *s)
{
	size_t i = (size_t)hash_of(s) & (t->nslots - 1);
	while (t->slot[i] && strcmp(t->v[t->slot[i] - 1], s))
		i = (i + 1) & (t->nslots - 1);
	return i;
}

static bool more_room(struct names *t)
{
	size_t n = t->nslots ? 2 * t->nslots : 4096;
	const char **v = realloc(t->v, n / 2 * sizeof(*v));
	if (v)
		t->v = v;
	uint32_t *slot = v ? calloc(n, sizeof(*slot)) : NULL;
	if (!slot)
		return false;
	free(t->slot);
	t->slot = slot;
	t->nslots = n;
	for (size_t i = 0; i < t->n; i++)
		t->slot[place(t, t->v[i])] = (uint32_t)i + 1;
	return true;
}

static size_t number_of(struct names *t, const char *s)
{
	if (2 * (t->n + 1) > t->nslots && !more_room(t))
		return 0;
	size_t i = place(t, s);
	if (!t->slot[i]) {
		t->v[t->n++] = s;
		t->slot[i] = (uint32_t)t->n;
	}
	return t->slot[i] - 1;
}

static void put_node(FILE *f, struct names *t, const struct tree_node *n, int64_t least, bool first)
{
	size_t kids = 0;
	for (const struct tree_node *c = n->child; c; c = c->next)
		kids += c->total > least;
	fprintf(f, "%s%zu,%ld,%zu", first ? "" : ",", number_of(t, n->name), (long)n->total, kids);
	for (const struct tree_node *c = n->child; c; c = c->next)
		if (c->total > least)
			put_node(f, t, c, least, false);
}

static void put_flame(FILE *f, const struct flame *fl, const char *title)
{
	struct names t = { 0 };
	fputs("{\"title\":", f);
	record_put_string(f, title);
	fputs(",\"unit\":\"ns\",\"n\":[", f);
	if (fl->have && fl->tree.root.total > 0)
		put_node(f, &t, &fl->tree.root, fl->tree.root.total / SMALLEST, true);
	fputs("],\"names\":[", f);
	for (size_t i = 0; i < t.n; i++) {
		fputs(i ? "," : "", f);
		record_put_string(f, t.v[i]);
	}
	fputs("],\"why\":", f);
	record_put_string(f, fl->have ? "nothing was counted" : "the process ended before its profile could be read");
	fputs("}\n", f);
	free(t.v);
	free(t.slot);
}

void record_put_flames(const struct recording *r, FILE *f)
{
	for (int i = 0; i < NFlame; i++) {
		fputs(i ? "," : "", f);
		put_flame(f, &r->flame[i], titles[i]);
	}
}
