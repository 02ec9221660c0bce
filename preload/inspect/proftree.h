/* proftree.h - a profile as a tree of calls with their names: what flame graphs, folded stacks and summaries are made of.
 */
#ifndef PRELOOM_PROFTREE_H
#define PRELOOM_PROFTREE_H

#include "profdata.h"
#include "symbols.h"
#include <stdio.h>

struct tree_node {
	const char *name;
	int64_t self, total;
	struct tree_node *child, *next, *parent;
	uint32_t hash;
};

struct proftree {
	struct tree_node root; /* name "all" */
	const char *unit;      /* of the values: "ns", or "" */
	void *memory;	       /* where nodes and names live */
};

struct proftree_options {
	bool per_thread; /* the outermost frames are the threads */
	bool counts;	 /* count instead of value */
};

/* What runs in preloom's own code, for a system call of the program's or for itself, is one frame, "[preloom]", and "[kernel]" if
 * it was in that call; which of preloom's functions concerns only its authors, who set GOTRACEBACK=system. */
void profdata_fold(struct profdata *d, const struct target *t);

/* Where something waits is about the program's places: drops the innermost frames that are the C library's or preloom's, and
 * keeps the name of what was called as `call`. What runs stays as it is. */
void profdata_trim(struct profdata *d, struct symbols *sym);

/* False: out of memory. */
bool proftree_build(struct proftree *p, const struct profdata *d, struct symbols *sym, const struct proftree_options *o);
void proftree_free(struct proftree *p);
/* Children in the order of their totals. */
void proftree_sort(struct proftree *p);

/* Functions by how much is spent in themselves, and in what they call. Recursion counts once. */
struct prof_function {
	const char *name;
	int64_t flat, cum;
};
struct prof_function *proftree_functions(const struct proftree *p, size_t *n); /* sorted by flat, then cum; to be freed */

/* The formats. title: a line of text for people. */
bool prof_write_pprof(FILE *f, const struct target *t, const struct profdata *d, struct symbols *sym);
void prof_write_folded(FILE *f, const struct proftree *p);
void prof_write_svg(FILE *f, const struct proftree *p, const char *title, const char *subtitle);
void prof_write_top(FILE *f, const struct proftree *p, const char *title, size_t limit);

/* "1.25 s" or "17" */
const char *prof_format_value(char *buf, size_t n, int64_t v, const char *unit);

/* The name of the code at an address: the function, or object+offset. inlined: how many names there are. */
size_t prof_names_at(struct symbols *sym, uintptr_t pc, const char **name, size_t max, char *buf, size_t n);

#endif
