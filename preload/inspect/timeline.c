/* timeline.c - a bounded number of intervals for a picture.
 *
 * When there are too many, the quantum doubles: neighbours in a row that are shorter become one interval of mixed
 * content that knows how much of it was running. So what took long stays exact, and a page of a long recording has as much
 * to draw as one of a short one.
 */
#include "timeline.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_QUANTUM 2048 /* ticks, about a microsecond */
#define MILLE 1000

void timeline_init(struct timeline *t, size_t limit, size_t max_rows)
{
	*t = (struct timeline){ .limit = limit, .max_rows = max_rows };
}

void timeline_free(struct timeline *t)
{
	for (size_t i = 0; i < t->nrows; i++)
		free(t->row[i].v);
	free(t->row);
	memset(t, 0, sizeof(*t));
}

long timeline_row(struct timeline *t, uint64_t id)
{
	if (t->nrows == t->max_rows) {
		t->not_drawn++;
		return -1;
	}
	if (t->nrows == t->rooms) {
		size_t n = t->rooms ? 2 * t->rooms : 64;
		struct row *p = realloc(t->row, n * sizeof(*p));
		if (!p)
			return -1;
		t->row = p;
		t->rooms = n;
	}
	t->row[t->nrows] = (struct row){ .id = id };
	return (long)t->nrows++;
}

static uint64_t ran(const struct slice *s)
{
	uint64_t len = s->to - s->from;
	if (s->what == LIFE_MIXED)
		return len * s->detail / MILLE;
	return s->what == LifeRunning ? len : 0;
}

/* b follows a, both shorter than the quantum: one of them. */
static bool merge(const struct timeline *t, struct slice *a, const struct slice *b)
{
	if (b->from < a->to || b->from - a->to > t->quantum)
		return false;
	if (b->to - b->from >= t->quantum || a->to - a->from >= (a->what == LIFE_MIXED ? 2 : 1) * t->quantum)
		return false;
	uint64_t sum = ran(a) + ran(b), len = b->to - a->from;
	a->to = b->to;
	a->what = LIFE_MIXED;
	a->detail = len ? (uint32_t)(sum * MILLE / len) : 0;
	return true;
}

static void compact(struct timeline *t)
{
	t->total = 0;
	for (size_t r = 0; r < t->nrows; r++) {
		struct row *row = &t->row[r];
		size_t k = 0;
		for (size_t i = 0; i < row->n; i++)
			if (k == 0 || !merge(t, &row->v[k - 1], &row->v[i]))
				row->v[k++] = row->v[i];
		row->n = k;
		t->total += k;
	}
}

void timeline_add(struct timeline *t, long i, const struct slice *s)
{
	if (i < 0 || s->to <= s->from)
		return;
	struct row *row = &t->row[i];
	if (t->quantum && row->n && merge(t, &row->v[row->n - 1], s))
		return;
	while (t->total >= t->limit) {
		t->quantum = t->quantum ? 2 * t->quantum : FIRST_QUANTUM;
		compact(t);
		if (t->quantum > UINT64_MAX / 4)
			return;
	}
	if (row->n == row->room) {
		size_t n = row->room ? 2 * row->room : 16;
		struct slice *p = realloc(row->v, n * sizeof(*p));
		if (!p)
			return;
		row->v = p;
		row->room = n;
	}
	row->v[row->n++] = *s;
	t->total++;
}
