/* tracebuf.h - the scheduler trace: what an event looks like, and the hooks that write one. See tracebuf.c.
 *
 * The layout is read from outside by the `preloom` command, which is compiled with this header; it is a part of what
 * INSPECT_VERSION stands for.
 */
#ifndef PRELOOM_TRACEBUF_H
#define PRELOOM_TRACEBUF_H

#include "inspect.h"

struct g;
struct m;
struct p;

/* g, n, p and arg mean:                 g: whose          arg                     n              sub */
enum trace_type {
	TraceNone,
	TraceState,   /* as tracing starts       the G             what it waits on        waitreason     gstatus */
	TraceCreate,  /* a G was made            the new G         its entry               its thread id  - ; behind its TraceParent */
	TraceParent,  /*                         the new G         its maker */
	TraceExit,    /*                         the G             its entry               its thread id */
	TraceName,    /* with Create and Exit: g and arg are the name, n the lower half of the G's number */
	TracePark,    /*                         the G             address, fd             the futex word waitreason */
	TraceReady,   /* became runnable         the G             who readied it, or 0    -              enum wake */
	TraceRun,     /* on P p                  the G */
	TraceYield,   /* gave its P away         the G */
	TracePreempt, /* before Yield: it had to the G */
	TraceEnter,   /* a system call           the G             -                       its number     1: P given away */
	TraceLeave,   /* came back               the G             -                       -              enum trace_leave */
	TraceHandoff, /* P p was given away by the M */
	TraceRetake,  /* sysmon took P p from the M in a system call */
	TraceAsk,     /* sysmon asked P p's G to give way */
	TraceSteal,   /* P p took n G's; arg: from which P */
	TraceNetpoll, /* n G's became ready */
	TraceProcs,   /* GOMAXPROCS is n */
	TraceAwake,   /* the M goes to work */
	TraceAsleep,  /* the M has none */
	NTraceType
};

/* After a system call: it kept its P, took an idle one, or has none and waits for one. */
enum trace_leave { LeaveKept, LeaveTook, LeaveQueued };

struct trace_event {
	_Atomic uint64_t ticks; /* arch_cputicks(); written last, 0 until then */
	uint8_t type, sub;
	int16_t p; /* -1: none */
	uint32_t n;
	uint64_t g, arg;
};

#define TRACE_CHUNK 8192
#define TRACE_EVENTS (TRACE_CHUNK / sizeof(struct trace_event) - 1)

/* A piece of the ring, in the hands of one M while `open`. */
struct trace_chunk {
	uint64_t seq;	/* its place among all that were ever taken */
	uint64_t since; /* ticks when it was taken */
	_Atomic uint32_t n; /* events begun; may exceed TRACE_EVENTS */
	_Atomic uint32_t open;
	uint32_t session;
	int32_t m;
	struct trace_event ev[TRACE_EVENTS];
};
_Static_assert(sizeof(struct trace_chunk) == TRACE_CHUNK, "a chunk's size");

struct trace_pool {
	uint64_t nchunks;
	uint64_t pad[511]; /* the chunks begin on a page */
	struct trace_chunk chunk[];
};

struct tracebuf {
	struct trace_pool *_Atomic pool;
	_Atomic uint64_t next; /* seq of the next chunk */
	uint64_t first;	       /* of the session */
	_Atomic uint32_t session;
	uint32_t running;
	int64_t start_ns, stop_ns; /* CLOCK_MONOTONIC; stop: 0 while it runs */
	uint64_t start_ticks, stop_ticks;
	_Atomic uint64_t overwritten;	/* events that gave way to newer ones */
	_Atomic uint64_t complete_from; /* ticks: before that something is missing */
	_Atomic uint64_t unwritten;	/* events of kernel threads that are no M's, or for which there was no chunk */
};
extern struct tracebuf tracebuf;

#define TRACE_MIN_BYTES (1UL << 20)
#define TRACE_MAX_BYTES (1UL << 30)

int trace_start(size_t bytes); /* 0, -ENOMEM, -EBUSY */
void trace_stop(void);
void trace_release(void); /* gives the memory back; what was recorded is gone */
void trace_after_fork(struct m *m);

#define TRACE_HOOK __attribute__((cold, noinline))
TRACE_HOOK void trace_g(enum trace_type type, struct g *g, uint32_t sub, uint64_t arg); /* on the current M's P */
TRACE_HOOK void trace_run(struct g *g);
TRACE_HOOK void trace_park(struct g *g);
TRACE_HOOK void trace_ready(struct g *g);
TRACE_HOOK void trace_enter(struct g *g, struct p *pp, bool given);
TRACE_HOOK void trace_created(struct g *g);
TRACE_HOOK void trace_exit(struct g *g);
TRACE_HOOK void trace_p(enum trace_type type, struct p *pp, uint32_t n, uint64_t arg);

static inline bool tracing(void)
{
	return inspecting(InspectTrace);
}

#endif
