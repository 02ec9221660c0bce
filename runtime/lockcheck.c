/* lockcheck.c - finds locks that are taken in different orders, and locks that are held long, before they do harm.
 *
 * preload/locks.c stands before the C library's lock functions and tells what each thread takes and releases. Each G has a
 * list of what it holds. Taking B while A is held makes an edge A → B, kept with both stacks of the first time. An
 * edge that closes a circle is an inversion: with unlucky timing these threads wait for each other for ever. It is
 * reported when it is seen, whether or not anybody ever had to wait.
 *
 * Edges are only added, so the common look-up, that of an edge that exists, takes no lock. Reports are written into a
 * few slots; sysmon has the command print them (helper.c), which reads them from outside while the program runs on.
 *
 * A lock is known by its address, until it is destroyed: where memory is used again for another lock without that, an order
 * that was never meant may be reported.
 * A try never waits, so it makes no edge, but what it got counts as held.
 */
#include "lockcheck.h"
#include "gs.h"
#include "helper.h"
#include "inspect.h"
#include "objtab.h"
#include "runtime.h"
#include "unwind_here.h"
#include <asm/errno.h>

#define HELD_MOST 32
#define EDGES (1u << 14) /* places; three quarters of them are used */
#define REPORTS 16
#define REPORTS_MOST 200 /* in the life of the process */
#define SEARCH_MOST 4096 /* edges that one search looks at */
#define LONG_PLACES 512

struct held {
	uintptr_t lock;
	uint32_t depth; /* recursive mutexes, read locks */
	int64_t since;
	struct lockcheck_stack took;
};

struct lockcheck_thread {
	uint64_t goid;
	uint32_t n;
	struct held h[HELD_MOST];
};

struct edge {
	struct lockcheck_step s;
	struct edge *next; /* with the same hash of s.held */
	uint32_t mark;	   /* of the search that saw it last */
	_Atomic bool gone; /* one of its locks was destroyed */
};

static struct lock edges_lock = LOCK_INIT(RankPrint);
static struct edge *_Atomic edges[EDGES];
static struct edge *_Atomic from[EDGES];
static uint32_t nedges, search;
static struct lockcheck_report reports[REPORTS];
static _Atomic uint32_t nreports;
static _Atomic uint64_t long_seen[LONG_PLACES];
static int helper; /* that is at work, 0: none */
static uint32_t printing;

enum { Free, Writing, Ready }; /* Writing: it belongs to one thread, which also may print it */

static uint32_t hash(uintptr_t a, uintptr_t b)
{
	return (uint32_t)((a * 0x9e3779b97f4a7c15ULL ^ b * 0xc2b2ae3d27d4eb4fULL) >> 40);
}

static struct g *current(void)
{
	struct m *m = gs_m();
	return m && !m->foreign ? m->curg : NULL;
}

static struct lockcheck_thread *thread_of(struct g *g)
{
	if (!g->lockcheck)
		g->lockcheck = rt_alloc(sizeof(*g->lockcheck));
	if (g->lockcheck->goid != g->goid) { /* a G is used again */
		g->lockcheck->goid = g->goid;
		g->lockcheck->n = 0;
	}
	return g->lockcheck;
}

static bool ours(uintptr_t pc)
{
	return pc >= preloom_inspect.text_lo && pc < preloom_inspect.text_hi;
}

__attribute__((noinline)) static void stack_here(struct lockcheck_stack *s)
{
	struct unwind u;
	unwind_from_here(&u, &unwind_self);
	s->n = 0;
	do {
		uintptr_t pc = unwind_pc(&u);
		if (!ours(pc))
			s->pc[s->n++] = pc;
	} while (s->n < LOCKCHECK_DEPTH && unwind_step(&u));
}

static struct held *find_held(struct lockcheck_thread *t, uintptr_t lock)
{
	for (uint32_t i = t->n; i > 0; i--)
		if (t->h[i - 1].lock == lock)
			return &t->h[i - 1];
	return NULL;
}

/* --- reports --- */

static struct lockcheck_report *report_begin(void)
{
	if (load_rlx(&nreports) >= REPORTS_MOST)
		return NULL;
	for (uint32_t i = 0; i < REPORTS; i++) {
		uint32_t state = Free;
		if (atomic_compare_exchange_strong(&reports[i].state, &state, Writing)) {
			if (atomic_fetch_add(&nreports, 1) == REPORTS_MOST - 1)
				rt_printf(rt_opt.logfd, "preloom: lockcheck: this was the last report of %d\n", REPORTS_MOST);
			return &reports[i];
		}
	}
	return NULL;
}

static void report_end(struct lockcheck_report *r)
{
	store_rel(&r->state, Ready);
	sysmon_wake();
}

static void print_plain(const struct lockcheck_report *r)
{
	if (r->nstep == 0)
		rt_printf(rt_opt.logfd, "preloom: lockcheck: the lock at %p was held for %ld ms by goroutine %lu, taken at %p,"
					" released at %p\n", (void *)r->step[0].held, (long)(r->held_ns / NSEC_PER_MSEC),
			  (unsigned long)r->step[0].goid, (void *)r->step[0].took.pc[0], (void *)r->step[0].wants.pc[0]);
	for (uint32_t i = 0; i < r->nstep; i++)
		rt_printf(rt_opt.logfd, "preloom: lockcheck: %s: goroutine %lu took the lock at %p at %p and then wants %p at"
					" %p\n", i ? "and" : "lock-order inversion", (unsigned long)r->step[i].goid,
			  (void *)r->step[i].held, (void *)r->step[i].took.pc[0], (void *)r->step[i].wanted,
			  (void *)r->step[i].wants.pc[0]);
}

static int start(struct lockcheck_report *r)
{
	struct helper_request q = { .event = "lockcheck", .goid = r->step[0].goid, .context = (uintptr_t)r };
	return helper_start(&q);
}

static void finished(struct lockcheck_report *r, int result)
{
	if (result != 0 && result != -ECHILD) /* that: somebody else waited for it, see helper_wait_idle */
		print_plain(r);
	store_rel(&r->state, Free);
}

/* One at a time gives reports to the helper: sysmon, or a thread that ends the process and must find each of them. */
static _Atomic uint32_t giving;

static void give_next(void)
{
	int result = helper ? helper_result(helper, false) : 0;
	if (result == -EAGAIN)
		return;
	if (helper)
		finished(&reports[printing], result);
	helper = 0;
	for (uint32_t i = 0; i < REPORTS; i++) {
		uint32_t ready = Ready;
		if (!atomic_compare_exchange_strong(&reports[i].state, &ready, Writing))
			continue;
		int pid = start(&reports[i]);
		if (pid == -EBUSY) { /* with something else: the next time */
			store_rel(&reports[i].state, Ready);
			return;
		}
		printing = i;
		if (pid > 0)
			helper = pid;
		else
			finished(&reports[i], pid);
		return;
	}
}

void lockcheck_tick(void)
{
	if (atomic_exchange(&giving, 1))
		return;
	give_next();
	store_rel(&giving, 0);
}

void lockcheck_flush(void)
{
	while (atomic_exchange(&giving, 1))
		os_usleep(NSEC_PER_MSEC);
	helper_wait_idle();
	for (uint32_t i = 0; i < REPORTS; i++) {
		uint32_t ready = Ready;
		if (!atomic_compare_exchange_strong(&reports[i].state, &ready, Writing))
			continue;
		int pid = start(&reports[i]);
		finished(&reports[i], pid > 0 ? helper_result(pid, true) : pid);
	}
	store_rel(&giving, 0);
}

/* --- the order --- */

static struct edge *_Atomic *place_of(uintptr_t held, uintptr_t wanted)
{
	uint32_t i = hash(held, wanted) % EDGES;
	for (;; i = (i + 1) % EDGES) {
		struct edge *e = load_acq(&edges[i]);
		if (!e || (e->s.held == held && e->s.wanted == wanted))
			return &edges[i];
	}
}

/* A way from lock `at` to `to`, along edges; the steps, from the last to the first. 0: there is none. */
static uint32_t way(uintptr_t at, uintptr_t to, struct edge **step, uint32_t depth, uint32_t *looks)
{
	if (depth == 0)
		return 0;
	for (struct edge *e = load_rlx(&from[hash(at, 0) % EDGES]); e; e = e->next) {
		if (e->s.held != at || load_rlx(&e->gone) || e->mark == search || ++*looks > SEARCH_MOST)
			continue;
		e->mark = search;
		uint32_t n = e->s.wanted == to ? 1 : way(e->s.wanted, to, step, depth - 1, looks);
		if (n == 0)
			continue;
		step[e->s.wanted == to ? 0 : n++] = e;
		return n;
	}
	return 0;
}

static void report_circle(const struct edge *now, struct edge **step, uint32_t n)
{
	struct lockcheck_report *r = report_begin();
	if (!r)
		return;
	r->step[0] = now->s;
	for (uint32_t i = 0; i < n; i++)
		r->step[i + 1] = step[n - 1 - i]->s;
	r->nstep = n + 1;
	report_end(r);
}

static void add_edge(struct g *g, const struct held *h, uintptr_t wanted)
{
	struct edge *step[LOCKCHECK_STEPS];
	struct edge *e = rt_alloc(sizeof(*e)), *spare = NULL;
	e->s = (struct lockcheck_step){ .held = h->lock, .wanted = wanted, .goid = g->goid, .tid = g->tid, .took = h->took };
	for (int i = 0; i < GNAME_LEN; i++)
		e->s.name[i] = g->name[i];
	stack_here(&e->s.wants);
	lock(&edges_lock);
	struct edge *_Atomic *place = place_of(h->lock, wanted);
	struct edge *old = load_rlx(place);
	if (old ? !load_rlx(&old->gone) : nedges >= EDGES / 4 * 3) { /* another thread was faster, or there is no room */
		unlock(&edges_lock);
		rt_free(e, sizeof(*e));
		return;
	}
	if (!old && ++nedges == EDGES / 4 * 3)
		rt_printf(rt_opt.logfd, "preloom: lockcheck: %u pairs of locks are known; new ones are not looked at\n", nedges);
	if (old) { /* the same places in memory, other locks */
		old->s = e->s;
		spare = e;
		e = old;
	}
	uint32_t looks = 0;
	search++;
	uint32_t n = way(wanted, h->lock, step, LOCKCHECK_STEPS - 1, &looks);
	if (old) {
		store_rel(&e->gone, false);
	} else {
		struct edge *_Atomic *head = &from[hash(h->lock, 0) % EDGES];
		e->next = load_rlx(head);
		store_rel(head, e);
		store_rel(place, e);
	}
	unlock(&edges_lock);
	rt_free(spare, sizeof(*spare));
	if (n)
		report_circle(e, step, n);
}

void lockcheck_wants(uintptr_t lock)
{
	struct g *g = current();
	struct lockcheck_thread *t = g ? thread_of(g) : NULL;
	if (!t || t->n == 0 || find_held(t, lock))
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		struct edge *e = load_acq(place_of(t->h[i].lock, lock));
		if (!e || load_rlx(&e->gone))
			add_edge(g, &t->h[i], lock);
	}
}

/* Its memory may become another lock. */
void lockcheck_forgets(uintptr_t which)
{
	if (!current())
		return;
	lock(&edges_lock);
	for (uint32_t i = 0; i < EDGES && nedges; i++) {
		struct edge *e = load_rlx(&edges[i]);
		if (e && (e->s.held == which || e->s.wanted == which))
			store_rlx(&e->gone, true);
	}
	unlock(&edges_lock);
}

void lockcheck_took(uintptr_t lock)
{
	struct g *g = current();
	struct lockcheck_thread *t = g ? thread_of(g) : NULL;
	struct held *h = t ? find_held(t, lock) : NULL;
	if (h) {
		h->depth++;
		return;
	}
	if (!t || t->n == HELD_MOST)
		return;
	h = &t->h[t->n++];
	h->lock = lock;
	h->depth = 1;
	stack_here(&h->took);
	h->since = os_nanotime();
}

/* Once for each pair of places. */
static bool new_place(uintptr_t took, uintptr_t released)
{
	uint64_t id = took * 0x9e3779b97f4a7c15ULL + released;
	for (uint32_t i = 0; i < LONG_PLACES; i++) {
		uint64_t have = load_rlx(&long_seen[i]);
		if (have == id)
			return false;
		if (have == 0 && atomic_compare_exchange_strong(&long_seen[i], &have, id))
			return true;
		if (have == id)
			return false;
	}
	return false;
}

static void report_long(struct g *g, const struct held *h, int64_t ns)
{
	struct lockcheck_stack here;
	stack_here(&here);
	if (!new_place(h->took.n ? h->took.pc[0] : 0, here.n ? here.pc[0] : 0))
		return;
	struct lockcheck_report *r = report_begin();
	if (!r)
		return;
	r->nstep = 0;
	r->held_ns = ns;
	r->step[0] = (struct lockcheck_step){ .held = h->lock, .goid = g->goid, .tid = g->tid, .took = h->took, .wants = here };
	for (int i = 0; i < GNAME_LEN; i++)
		r->step[0].name[i] = g->name[i];
	report_end(r);
}

void lockcheck_releases(uintptr_t lock)
{
	struct g *g = current();
	struct lockcheck_thread *t = g ? thread_of(g) : NULL;
	struct held *h = t ? find_held(t, lock) : NULL; /* NULL: taken before we looked, or by another thread */
	if (!h || --h->depth)
		return;
	int64_t ns = os_nanotime() - h->since;
	if (rt_opt.lockheld && ns > rt_opt.lockheld)
		report_long(g, h, ns);
	for (struct held *end = &t->h[--t->n]; h < end; h++)
		h[0] = h[1];
}

void lockcheck_after_fork(void)
{
	helper = 0;
	store_rlx(&giving, 0);
	store_rlx(&edges_lock.v, 0);
	for (uint32_t i = 0; i < REPORTS; i++)
		store_rlx(&reports[i].state, Free);
}
