/* latency.c - how long runnable G's wait for a P. See latency.h.
 */
#include "latency.h"
#include "runtime.h"

void latency_begin(struct p *pp, struct g *g)
{
	pp->sample_at = pp->nready + 1 + m_fastrand(getm()) % LATENCY_EVERY;
	g->ready_ticks = arch_cputicks();
}

void latency_end(struct p *pp, struct g *g)
{
	/* The clock of a run is that of the G before, which may have readied this one after its last reading. */
	uint64_t waited = g->run_start > g->ready_ticks ? g->run_start - g->ready_ticks : 0;
	pp->latency[latency_bucket(waited)]++;
	g->ready_ticks = 0;
}
