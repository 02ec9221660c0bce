/* tracefeed.h - the trace events of a process, read while it runs, in the order of time.
 */
#ifndef PRELOOM_TRACEFEED_H
#define PRELOOM_TRACEFEED_H

#include "../../runtime/tracebuf.h"
#include "target.h"

struct feed_event {
	uint64_t ticks;
	uint8_t type, sub;
	int16_t p;
	int32_t m;
	uint32_t n;
	uint64_t g, arg;
};

struct tracefeed;

/* The session that runs, or ran last. NULL: out of memory, or the process is gone. */
struct tracefeed *tracefeed_open(const struct target *t);
void tracefeed_close(struct tracefeed *f);

/* Reads what is new. *ev: what is complete, valid until the next call; returns how many. `all`: nobody writes any more, so
 * everything is complete. *gap: events before the first of these are missing. */
size_t tracefeed_read(struct tracefeed *f, bool all, const struct feed_event **ev, bool *gap);

uint64_t tracefeed_lost(const struct tracefeed *f); /* events that nobody will see */
const struct tracebuf *tracefeed_state(const struct tracefeed *f); /* as it was at the last read */
bool tracefeed_gone(const struct tracefeed *f); /* the process cannot be read any more */

#endif
