/* tracejson.h - a trace in the JSON Trace Event Format, which Perfetto and chrome://tracing open.
 */
#ifndef PRELOOM_TRACEJSON_H
#define PRELOOM_TRACEJSON_H

#include "tracemodel.h"
#include <stdio.h>

struct tracejson;

extern const struct trace_sink tracejson_sink; /* its ctx is a struct tracejson */

/* limit: bytes after which nothing more is written but ends. NULL: out of memory. */
struct tracejson *tracejson_new(FILE *f, uint64_t start_ticks, double ns_per_tick, uint64_t limit);
void tracejson_free(struct tracejson *j);

struct trace_extra {
	uint64_t lost;
	const char *program;
	int pid;
	const char *(*function)(void *ctx, uint64_t address); /* of an entry; "" if unknown */
	void *ctx;
};
/* Names of rows, and what is to be said of the whole. False: the file could not be written. */
bool tracejson_finish(struct tracejson *j, struct tracemodel *tm, const struct trace_extra *x);
uint64_t tracejson_dropped(const struct tracejson *j); /* events beyond the limit */

#endif
