/* latency.h - how long runnable G's wait for a P: a histogram per P, which tools read from outside.
 *
 * About every sixteenth G that becomes runnable is stamped, at random so that no pattern of the program hides in it; those
 * that lost their P or were readied without one always are. The P that runs it adds the difference. Buckets are
 * logarithmic, four to an octave, in ticks: one wide enough for a percentile in two digits, and cheap to find.
 */
#ifndef PRELOOM_LATENCY_H
#define PRELOOM_LATENCY_H

#include "base.h"

#define LATENCY_BUCKETS 128
#define LATENCY_SHIFT 6 /* the first bucket is 64 ticks wide, the last begins at 2^37 */
#define LATENCY_EVERY 32 /* the largest distance between two that are stamped */

struct g;
struct p;

static inline uint32_t latency_bucket(uint64_t ticks)
{
	ticks >>= LATENCY_SHIFT;
	if (ticks < 4)
		return (uint32_t)ticks;
	uint32_t e = 63 - (uint32_t)__builtin_clzll(ticks), b = 4 * (e - 1) + (ticks >> (e - 2) & 3);
	return b < LATENCY_BUCKETS ? b : LATENCY_BUCKETS - 1;
}

/* Where a bucket begins. */
static inline uint64_t latency_floor(uint32_t bucket)
{
	return (bucket < 4 ? bucket : (uint64_t)(4 + bucket % 4) << (bucket / 4 - 1)) << LATENCY_SHIFT;
}

void latency_begin(struct p *pp, struct g *g); /* pp: whose turn to be sampled it is */
void latency_end(struct p *pp, struct g *g);   /* runs now on pp */

#endif
