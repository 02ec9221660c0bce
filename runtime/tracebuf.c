/* tracebuf.c - the scheduler trace in the process: M's write fixed-size events without a lock, a tool reads them.
 *
 * The buffer is a ring of chunks of 8 KiB. An M takes the next chunk by one atomic addition, fills it alone, and takes
 * another; so events of one M are in order, M's that do nothing hold little, and the ring as a whole overwrites its
 * oldest chunk, whoever wrote it. What is overwritten is counted, and complete_from says from when on nothing is
 * missing: a reader drops what is older. A chunk that its M still holds is never taken; if the M sleeps on it for long,
 * its place is passed over.
 *
 * The reader is another process. It reads while the program runs, so that a long span needs no large ring: closed chunks as
 * they appear, and of open ones what is there. An event is complete when it has ticks; they are written last.
 *
 * A signal handler may interrupt an M that writes an event, and write one itself: a place is reserved by an atomic
 * addition before it is filled, and a chunk is exchanged in one step, so that each chunk that was taken is closed once.
 *
 * Rejected: a ring per M, as there may be 10,000 M's of which two work at a time; stopping when full, since what
 * somebody wants to see is mostly the end, and a reader that keeps up loses nothing either way.
 */
#include "tracebuf.h"
#include "runtime.h"
#include <asm/mman.h>
#include <linux/errno.h>

#define TRIES 64
#define LARGE_PAGE (2UL << 20)

struct tracebuf tracebuf;

static void count_lost(const struct trace_chunk *c)
{
	uint32_t n = load_rlx(&c->n);
	if (n > TRACE_EVENTS)
		n = TRACE_EVENTS;
	if (n == 0 || c->session != load_rlx(&tracebuf.session))
		return;
	atomic_fetch_add_explicit(&tracebuf.overwritten, n, memory_order_relaxed);
	uint64_t last = load_rlx(&c->ev[n - 1].ticks), from = load_rlx(&tracebuf.complete_from);
	while (last > from && !atomic_compare_exchange_weak(&tracebuf.complete_from, &from, last))
		;
}

static struct trace_chunk *take_chunk(struct m *m)
{
	struct trace_pool *pool = load_acq(&tracebuf.pool);
	for (int i = 0; i < TRIES && pool; i++) {
		uint64_t seq = atomic_fetch_add_explicit(&tracebuf.next, 1, memory_order_relaxed);
		struct trace_chunk *c = &pool->chunk[seq % pool->nchunks];
		uint32_t no = 0;
		/* seq_cst: a reader that still finds it closed after reading has read what was there before */
		if (!atomic_compare_exchange_strong(&c->open, &no, 1))
			continue;
		count_lost(c);
		c->seq = seq;
		c->session = load_rlx(&tracebuf.session);
		c->m = m->id;
		store_rlx(&c->n, 0);
		for (uint32_t k = 0; k < TRACE_EVENTS; k++)
			store_rlx(&c->ev[k].ticks, 0);
		c->since = arch_cputicks();
		return c;
	}
	return NULL;
}

/* Where the current M writes its next event; NULL: nowhere. */
static struct trace_event *reserve(struct m *m)
{
	if (unlikely(!m || m->foreign))
		return NULL;
	uint32_t session = load_rlx(&tracebuf.session);
	struct trace_chunk *c = load_rlx(&m->trace);
	if (c && m->trace_session == session) {
		uint32_t i = arch_local_add(&c->n, 1);
		if (likely(i < TRACE_EVENTS))
			return &c->ev[i];
	}
	c = take_chunk(m);
	if (!c)
		return NULL;
	store_rlx(&c->n, 1);
	bool current = m->trace_session == session;
	m->trace_session = session;
	struct trace_chunk *old = atomic_exchange(&m->trace, c);
	if (old && current)
		store_rel(&old->open, 0); /* release: its events are written */
	return &c->ev[0];
}

/* ticks 0: now. */
static void put_at(uint64_t ticks, enum trace_type type, uint32_t sub, int p, uint32_t n, uint64_t g, uint64_t arg)
{
	struct trace_event *e = reserve(getm());
	if (unlikely(!e)) {
		atomic_fetch_add_explicit(&tracebuf.unwritten, 1, memory_order_relaxed);
		return;
	}
	e->type = (uint8_t)type;
	e->sub = (uint8_t)sub;
	e->p = (int16_t)p;
	e->n = n;
	e->g = g;
	e->arg = arg;
	store_rel(&e->ticks, ticks ? ticks : arch_cputicks()); /* release: complete for whoever sees it */
}

static void put(enum trace_type type, uint32_t sub, int p, uint32_t n, uint64_t g, uint64_t arg)
{
	put_at(0, type, sub, p, n, g, arg);
}

static int current_p(void)
{
	struct m *m = getm();
	return m && !m->foreign && m->p ? m->p->id : -1;
}

void trace_g(enum trace_type type, struct g *g, uint32_t sub, uint64_t arg)
{
	put(type, sub, current_p(), 0, g->goid, arg);
}

void trace_p(enum trace_type type, struct p *pp, uint32_t n, uint64_t arg)
{
	struct m *m = getm();
	struct g *g = m && !m->foreign ? m->curg : NULL;
	put(type, 0, pp ? pp->id : current_p(), n, g ? g->goid : 0, arg);
}

void trace_run(struct g *g)
{
	trace_g(TraceRun, g, 0, 0);
}

static uint64_t waits_on(const struct g *g, uint8_t reason)
{
	switch ((enum waitreason)reason) {
	case WaitFutex:
	case WaitFutexPI:
		return g->wait_addr;
	case WaitIORead:
	case WaitIOWrite:
		return (uint64_t)g->wait_fd;
	default:
		return 0;
	}
}

/* Its value tells a tool what the word belongs to: 2 is a mutex that is held and waited for. */
static uint32_t futex_word(const struct g *g)
{
	uint32_t v;
	if (g->waitreason != WaitFutex || arch_user_load32((const void *)g->wait_addr, &v))
		return 0;
	return v;
}

/* Just after g_off_cpu, which has read the clock. */
void trace_park(struct g *g)
{
	put_at(g->wait_ticks, TracePark, g->waitreason, current_p(), futex_word(g), g->goid, waits_on(g, g->waitreason));
}

/* The caller has claimed g's wait record, or runs it for the first time. */
void trace_ready(struct g *g)
{
	struct m *m = getm();
	struct g *by = m && !m->foreign ? m->curg : NULL;
	trace_g(TraceReady, g, (uint32_t)(load_rlx(&g->wait) >> WAIT_HOW_SHIFT & 0xff), by ? by->goid : 0);
}

void trace_enter(struct g *g, struct p *pp, bool given)
{
	put(TraceEnter, given, pp->id, (uint32_t)g->syscall_nr, g->goid, 0);
}

static void put_name(const struct g *g)
{
	uint64_t half[2];
	_Static_assert(sizeof(half) == GNAME_LEN, "a name is two words");
	__builtin_memcpy(half, g->name, sizeof(half));
	put(TraceName, 0, -1, (uint32_t)g->goid, half[0], half[1]);
}

void trace_created(struct g *g)
{
	put(TraceParent, 0, current_p(), 0, g->goid, g->parent_goid);
	put(TraceCreate, 0, current_p(), g->tid, g->goid, g->entry);
}

void trace_exit(struct g *g)
{
	put_name(g);
	put(TraceExit, 0, current_p(), g->tid, g->goid, g->entry);
}

/* --- start and stop: by sysmon, or at activation --- */

/* Where everybody is: a G that does nothing until the end has no other event. */
static void put_states(struct trace_pool *pool)
{
	uint64_t room = pool->nchunks * TRACE_EVENTS / 2;
	put(TraceProcs, 0, -1, (uint32_t)sched.nprocs, 0, 0);
	for (int i = 0; i < sched.nprocs; i++) {
		struct m *m = load_acq(&allp[i].status) == Prunning ? allp[i].m : NULL;
		struct g *g = m ? m->curg : NULL;
		if (g)
			put(TraceState, Grunning, i, WaitNone, g->goid, 0);
	}
	for (uint32_t i = 0; i < g_count() && i < room; i++) {
		struct g *g = g_at(i);
		uint32_t s = g ? load_acq(&g->status) : Gdead;
		uint8_t why = g ? g->waitreason : WaitNone;
		if (s == Gwaiting)
			put(TraceState, s, -1, why, g->goid, waits_on(g, why));
		else if (s == Grunnable)
			put(TraceState, s, -1, why, g->goid, 0);
		else if (s == Gsyscall)
			put(TraceState, s, -1, (uint32_t)g->syscall_nr, g->goid, 0);
	}
}

/* In large pages, or the first turn around the ring is a page fault for every hundred events. */
static struct trace_pool *map_pool(size_t size)
{
	char *p = os_mmap(size + LARGE_PAGE);
	if (!p)
		return NULL;
	char *at = (char *)align_up((uintptr_t)p, LARGE_PAGE);
	os_madvise(at, size, MADV_HUGEPAGE);
	os_madvise(at, size, MADV_DONTFORK);
	return (struct trace_pool *)at;
}

/* The old pool, if it is too small, stays mapped: an M may be writing to it. */
static struct trace_pool *pool_of(size_t bytes)
{
	struct trace_pool *pool = load_rlx(&tracebuf.pool);
	uint64_t n = bytes / TRACE_CHUNK;
	size_t size = sizeof(*pool) + n * TRACE_CHUNK;
	trace_release();
	if (pool && pool->nchunks >= n)
		return pool;
	pool = map_pool(size);
	if (!pool)
		return NULL;
	pool->nchunks = n;
	store_rel(&tracebuf.pool, pool);
	return pool;
}

int trace_start(size_t bytes)
{
	if (tracebuf.running)
		return -EBUSY;
	if (bytes < TRACE_MIN_BYTES)
		bytes = TRACE_MIN_BYTES;
	if (bytes > TRACE_MAX_BYTES)
		bytes = TRACE_MAX_BYTES;
	struct trace_pool *pool = pool_of(bytes);
	if (!pool)
		return -ENOMEM;
	store_rlx(&tracebuf.overwritten, 0);
	store_rlx(&tracebuf.complete_from, 0);
	store_rlx(&tracebuf.unwritten, 0);
	tracebuf.first = load_rlx(&tracebuf.next);
	tracebuf.running = 1;
	tracebuf.stop_ns = 0;
	atomic_fetch_add(&tracebuf.session, 1);
	uint64_t ticks;
	clocks_read(&tracebuf.start_ns, &ticks);
	atomic_thread_fence(memory_order_release); /* a tool that sees the ticks sees the rest */
	tracebuf.start_ticks = ticks;
	atomic_fetch_or(&inspect_flags, InspectTrace);
	put_states(pool);
	return 0;
}

void trace_stop(void)
{
	if (!tracebuf.running)
		return;
	atomic_fetch_and(&inspect_flags, ~(uint32_t)InspectTrace);
	clocks_read(&tracebuf.stop_ns, &tracebuf.stop_ticks);
	tracebuf.running = 0;
}

void trace_release(void)
{
	struct trace_pool *pool = load_rlx(&tracebuf.pool);
	if (pool && !tracebuf.running)
		os_madvise(pool->chunk, pool->nchunks * TRACE_CHUNK, MADV_DONTNEED);
}

/* The child of a fork is not traced and has not inherited the pool. */
void trace_after_fork(struct m *m)
{
	atomic_fetch_and(&inspect_flags, ~(uint32_t)InspectTrace);
	store_rlx(&m->trace, NULL);
	store_rlx(&tracebuf.pool, NULL);
	tracebuf.running = 0;
}
