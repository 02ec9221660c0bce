/* watch.h - a process whose scheduler trace is read while it runs, until somebody says stop or it ends.
 */
#ifndef PRELOOM_WATCH_H
#define PRELOOM_WATCH_H

#include "snapshot.h"
#include "symbols.h"
#include "tracefeed.h"
#include "tracemodel.h"
#include <pthread.h>

/* An address that was asked for, and what stands there. */
struct watch_place {
	uint64_t address;
	char *name;
};

struct watch {
	struct target *t;
	struct tracefeed *feed;
	struct tracemodel *tm;
	struct symbols *symbols;
	uint64_t start_ticks;
	double ns_per_tick;
	uint64_t lost;
	pthread_t heart; /* tells the process that we are there */
	bool beating;
	_Atomic bool stop;
	bool ended; /* the process waits for us to let it end */
	bool gone;  /* it is not there any more, and we did not see its end */
	double looked_at; /* when names were read, in s */
	struct watch_place *places;
	size_t nplaces;
};

/* The process traces already (record), or is told to (watch_start). After open, before the first event, the sink's owner
 * finds start_ticks and ns_per_tick; tm is made by watch_model. */
bool watch_open(struct watch *w, struct target *t);
bool watch_model(struct watch *w, const struct trace_sink *sink, void *ctx);
void watch_close(struct watch *w);

/* By way of the control channel; a line says what went wrong. buffer: bytes in the process. */
bool watch_start(const struct target *t, uint64_t buffer);
bool watch_stop(const struct watch *w);

void watch_read(struct watch *w, bool all); /* what is new goes to the model */
void watch_names(struct watch *w);	    /* of the G's that live now, and where they begin */
void watch_let_go(struct watch *w);	    /* whatever happens to the process now, we are done */
/* Of code: the function, demangled, or "object+0x123"; "" if nothing is known. Lives as long as w. */
const char *watch_function(struct watch *w, uint64_t address);

double watch_seconds(void); /* a clock */

#endif
