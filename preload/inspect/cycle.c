/* cycle.c - who waits for whom, and the circles in that.
 *
 * A thread waits for one other at most: for the owner of the lock, or for the one that it joins. So following the owners
 * from each thread, with a mark for the threads that were seen, finds every circle in linear time.
 */
#include "cycle.h"
#include <stdlib.h>

#define NOBODY SIZE_MAX

static bool ties(const struct reason *r)
{
	return r->owner && (r->kind == ReasonMutex || r->kind == ReasonRead || r->kind == ReasonWrite || r->kind == ReasonJoin);
}

static size_t next_of(const struct capture *c, const struct reason *reasons, size_t i)
{
	return ties(&reasons[i]) ? (size_t)(reasons[i].owner - c->s.g) : NOBODY;
}

static void print_lock(FILE *f, struct symbols *sym, const char *what, const struct reason *r)
{
	char place[160];
	reason_place(sym, r->object, place, sizeof(place));
	fprintf(f, "%s %s %s", what, r->kind == ReasonMutex ? "mutex" : "rwlock", place);
}

/* before: of the one that waits for this one. */
static void print_wait(FILE *f, struct symbols *sym, const struct reason *before, const struct reason *r)
{
	if (before->kind != ReasonJoin) {
		print_lock(f, sym, "holds", before);
		fputs(" and ", f);
	}
	if (r->kind == ReasonJoin) {
		fprintf(f, "waits for the end of goroutine %lu\n", (unsigned long)r->owner->g.goid);
	} else {
		print_lock(f, sym, "waits for", r);
		fprintf(f, " held by goroutine %lu\n", (unsigned long)r->owner->g.goid);
	}
}

static void print_circle(FILE *f, const struct capture *c, struct symbols *sym, const struct reason *reasons, size_t from,
			 bool *member)
{
	size_t n = 0, i = from, before = from;
	do {
		n++;
		before = i;
	} while ((i = next_of(c, reasons, i)) != from);
	fprintf(f, n == 1 ? "deadlock: a goroutine waits for itself:\n"
			  : "deadlock: %zu goroutines wait for each other in a circle:\n", n);
	do {
		const struct g *g = &c->s.g[i].g;
		fprintf(f, "\tgoroutine %lu \"%.*s\" ", (unsigned long)g->goid, GNAME_LEN, g->name);
		print_wait(f, sym, &reasons[before], &reasons[i]);
		member[i] = true;
		before = i;
		i = next_of(c, reasons, i);
	} while (i != from);
	fputc('\n', f);
}

size_t cycles_print(FILE *f, const struct capture *c, struct symbols *sym, const struct reason *reasons, bool *member)
{
	uint32_t *seen = calloc(c->s.ng + 1, sizeof(*seen)); /* 1 + from where it was seen first */
	size_t found = 0;
	for (size_t start = 0; seen && start < c->s.ng; start++) {
		size_t i = start;
		while (i != NOBODY && !seen[i]) {
			seen[i] = (uint32_t)start + 1;
			i = next_of(c, reasons, i);
		}
		if (i != NOBODY && seen[i] == start + 1) {
			print_circle(f, c, sym, reasons, i, member);
			found++;
		}
	}
	free(seen);
	return found;
}
