/* timeline.h - what each G and each P did, for a picture: a bounded number of intervals, whatever the span.
 */
#ifndef PRELOOM_TIMELINE_H
#define PRELOOM_TIMELINE_H

#include "tracemodel.h"

#define LIFE_MIXED 0 /* many short intervals in one; detail: thousandths of it that were running */

struct slice {
	uint64_t from, to; /* ticks */
	uint32_t detail;   /* running: P; waiting: reason; system call: number; runnable: by whom; on a P: its G */
	uint8_t what;	   /* enum life, or LIFE_MIXED */
};

struct row {
	uint64_t id; /* goid, or number of the P */
	struct slice *v;
	size_t n, room;
};

struct timeline {
	struct row *row;
	size_t nrows, rooms;
	size_t total, limit, max_rows;
	uint64_t quantum; /* ticks: what is shorter is merged with what is beside it */
	uint64_t not_drawn;	  /* rows for which there was no room */
};

void timeline_init(struct timeline *t, size_t limit, size_t max_rows);
void timeline_free(struct timeline *t);
/* Rows are indexed in the order of their making. -1: there is no room for another. */
long timeline_row(struct timeline *t, uint64_t id);
void timeline_add(struct timeline *t, long row, const struct slice *s);

#endif
