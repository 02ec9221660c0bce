/* proftext.c - profiles as text: folded stacks for other tools, and a table for people.
 */
#include "proftree.h"
#include <stdlib.h>
#include <string.h>

/* Semicolons separate frames, and the last blank the number. */
static void put_frame(FILE *f, const char *name)
{
	for (; *name; name++)
		fputc(*name == ';' ? ':' : *name == '\n' ? ' ' : *name, f);
}

static void put_path(FILE *f, const struct tree_node *n)
{
	if (!n->parent)
		return;
	put_path(f, n->parent);
	if (n->parent->parent)
		fputc(';', f);
	put_frame(f, n->name);
}

static void put_node(FILE *f, const struct tree_node *n)
{
	for (; n; n = n->next) {
		if (n->self > 0) {
			put_path(f, n);
			fprintf(f, " %ld\n", (long)n->self);
		}
		put_node(f, n->child);
	}
}

void prof_write_folded(FILE *f, const struct proftree *p)
{
	put_node(f, p->root.child);
}

const char *prof_format_value(char *buf, size_t n, int64_t v, const char *unit)
{
	double x = (double)v;
	if (!*unit)
		snprintf(buf, n, "%ld", (long)v);
	else if (v >= 100 * NSEC_PER_MSEC)
		snprintf(buf, n, "%.2f s", x / 1e9);
	else if (v >= 100 * NSEC_PER_USEC)
		snprintf(buf, n, "%.2f ms", x / 1e6);
	else
		snprintf(buf, n, "%.2f us", x / 1e3);
	return buf;
}

void prof_write_top(FILE *f, const struct proftree *p, const char *title, size_t limit)
{
	size_t n;
	struct prof_function *v = proftree_functions(p, &n);
	double total = p->root.total > 0 ? (double)p->root.total : 1;
	char a[32], b[32];
	fprintf(f, "%s, total %s\n", title, prof_format_value(a, sizeof(a), p->root.total, p->unit));
	fprintf(f, "%12s %6s %12s %6s\n", "flat", "flat%", "cum", "cum%");
	for (size_t i = 0; i < n && i < limit; i++)
		fprintf(f, "%12s %5.1f%% %12s %5.1f%%  %s\n", prof_format_value(a, sizeof(a), v[i].flat, p->unit),
			100 * (double)v[i].flat / total, prof_format_value(b, sizeof(b), v[i].cum, p->unit),
			100 * (double)v[i].cum / total, v[i].name);
	free(v);
}
