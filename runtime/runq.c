/* runq.c - run queues: each P's ring with its runnext slot, and the global queue.
 *
 * The ring has one producer (the P's own M) and several consumers (that M and thieves), so the owner publishes
 * with a release store of runqtail and everybody consumes with a CAS of runqhead. runnext holds the G that the
 * running one has just readied; it inherits the time slice, so that a pair which wakes each other counts as one.
 * A thief may take runnext too, hence its CAS. A full ring gives half of itself to the global queue, so that one P
 * cannot hoard.
 * The global queue is two: of those that were woken where there was no P, and of those that used up a slice. The first go first.
 * Of the second a P takes one that ran on it before rather than the first, up to four times in a row: with caches and address
 * translations of another CPU, xz's threads took 14 % more CPU time.
 * Rejected: a linked list per P (an allocation-free list needs a lock for thieves).
 */
#include "runtime.h"
#include "tracebuf.h"

#define PASS_DEPTH 16 /* how far a P looks for a G of its own */
#define TICKS_PASSED_OVER (1 << 27) /* 40 to 60 ms: so long those that compute let those that were woken pass */

void gqueue_push(struct gqueue *q, struct g *g)
{
	g->schedlink = NULL;
	if (q->tail)
		q->tail->schedlink = g;
	else
		q->head = g;
	q->tail = g;
	q->n++;
}

struct g *gqueue_pop(struct gqueue *q)
{
	struct g *g = q->head;
	if (!g)
		return NULL;
	q->head = g->schedlink;
	if (!q->head)
		q->tail = NULL;
	q->n--;
	g->schedlink = NULL;
	return g;
}

static struct g *gqueue_pop_after(struct gqueue *q, struct g *before)
{
	struct g *g = before->schedlink;
	before->schedlink = g->schedlink;
	if (q->tail == g)
		q->tail = before;
	q->n--;
	g->schedlink = NULL;
	return g;
}

/* It gave its P away because its slice was over, so it will use up the next one too. */
static bool computes(const struct g *g)
{
	return load_rlx(&g->preempt);
}

static void put(struct g *g)
{
	if (!computes(g)) {
		gqueue_push(&sched.runq, g);
		return;
	}
	if (!g->ready_ticks)
		g->ready_ticks = arch_cputicks();
	gqueue_push(&sched.usedup, g);
}

static void publish_size(void)
{
	store_rel(&sched.runqsize, sched.runq.n + sched.usedup.n);
}

/* All that follow run with sched.lock held. */
void globrunq_put_locked(struct g *g)
{
	put(g);
	publish_size();
}

void globrunq_put_batch_locked(struct gqueue *q)
{
	struct g *g;
	while ((g = gqueue_pop(q)))
		put(g);
	publish_size();
}

/* Among the first that compute the one before g that the P prefers to the first: one that ran on this P before, so that its
 * memory is in this CPU's caches. The one that has just given the P away is not meant. */
static struct g *before_own(const struct p *pp)
{
	struct g *before = sched.usedup.head;
	for (int i = 0; i < PASS_DEPTH && before->schedlink; i++, before = before->schedlink) {
		struct g *g = before->schedlink;
		if (g->lastp == pp && g != pp->gaveup)
			return before;
	}
	return NULL;
}

static struct g *take_computing(struct p *pp, bool any)
{
	struct g *before = NULL;
	if (!one_p && !any && sched.usedup.head->lastp != pp && pp->npassed < PASS_MAX)
		before = before_own(pp);
	pp->gaveup = NULL;
	sched.usedup_ticks = arch_cputicks();
	if (!before) {
		pp->npassed = 0;
		return gqueue_pop(&sched.usedup);
	}
	pp->npassed++;
	return gqueue_pop_after(&sched.usedup, before);
}

/* Who was woken goes first: it mostly needs the CPU for a moment, and others wait for what it does. But G's that are woken all
 * the time must not keep out those that compute, nor these those. */
static bool computing_is_next(const struct p *pp, bool tick)
{
	const struct g *g = sched.usedup.head;
	if (!g || !sched.runq.n)
		return g != NULL;
	if (tick)
		return pp->schedtick / SCHED_TICK_GLOBAL % 2;
	int64_t now = (int64_t)arch_cputicks();
	return now - (int64_t)sched.usedup_ticks > TICKS_PASSED_OVER && now - (int64_t)g->ready_ticks > TICKS_PASSED_OVER;
}

/* Takes a P's fair share of the global queue (at most max, if not 0): one to run, the rest to the ring. Of those that compute
 * it takes one and leaves the others where they are, so that what is woken meanwhile comes before them. */
struct g *globrunq_get_locked(struct p *pp, uint32_t max)
{
	uint32_t n = sched.runq.n;
	if (n + sched.usedup.n == 0)
		return NULL;
	if (rt_opt.chaos) /* so that G's that were preempted go on elsewhere */
		max = 1;
	struct g *first;
	if (computing_is_next(pp, max == 1)) {
		first = take_computing(pp, max == 1);
	} else {
		uint32_t share = n / (uint32_t)sched.nprocs + 1;
		if (share > n)
			share = n;
		if (max && share > max)
			share = max;
		if (share > RUNQ_LEN / 2)
			share = RUNQ_LEN / 2;
		pp->gaveup = NULL;
		first = gqueue_pop(&sched.runq);
		while (--share > 0)
			runq_put(pp, gqueue_pop(&sched.runq), false);
	}
	pp->nglobal++;
	pp->turn_ticks = 0;
	publish_size();
	return first;
}

bool runq_empty(const struct p *pp)
{
	/* A G may move from runnext to the ring between the two looks: then the tail has changed. */
	for (;;) {
		uint32_t head = load_acq(&pp->runqhead);
		uint32_t tail = load_acq(&pp->runqtail);
		struct g *next = load_acq(&pp->runnext);
		if (tail == load_acq(&pp->runqtail))
			return head == tail && next == NULL;
	}
}

uint32_t runq_size(const struct p *pp)
{
	uint32_t n = load_acq(&pp->runqtail) - load_acq(&pp->runqhead);
	return n + (load_acq(&pp->runnext) != NULL);
}

/* Half of the ring and g to the global queue in one batch. False if thieves made room meanwhile. */
static bool runq_put_slow(struct p *pp, struct g *g, uint32_t head, uint32_t tail)
{
	struct g *batch[RUNQ_LEN / 2 + 1];
	uint32_t n = (tail - head) / 2;
	check(n == RUNQ_LEN / 2);
	for (uint32_t i = 0; i < n; i++)
		batch[i] = load_rlx(&pp->runq[(head + i) % RUNQ_LEN]);
	if (!atomic_compare_exchange_strong_explicit(&pp->runqhead, &head, head + n, memory_order_release,
						     memory_order_relaxed))
		return false;
	batch[n++] = g;
	if (rt_opt.chaos)
		for (uint32_t i = n - 1; i > 0; i--) {
			uint32_t j = m_fastrand(getm()) % (i + 1);
			struct g *t = batch[i];
			batch[i] = batch[j];
			batch[j] = t;
		}
	lock(&sched.lock);
	for (uint32_t i = 0; i < n; i++)
		put(batch[i]);
	publish_size();
	unlock(&sched.lock);
	pp->noverflow++;
	return true;
}

static bool ring_put(struct p *pp, struct g *g, uint32_t *headp, uint32_t *tailp)
{
	uint32_t head = load_acq(&pp->runqhead); /* acquire: slots up to head have been read */
	uint32_t tail = load_rlx(&pp->runqtail);
	*headp = head;
	*tailp = tail;
	if (tail - head >= RUNQ_LEN)
		return false;
	store_rlx(&pp->runq[tail % RUNQ_LEN], g);
	store_rel(&pp->runqtail, tail + 1); /* release: the slot is visible to whoever sees the tail */
	return true;
}

/* Puts g on pp, which belongs to the calling M. next: into runnext, whose G goes to the ring's end. */
void runq_put(struct p *pp, struct g *g, bool next)
{
	if (rt_opt.chaos && next && m_fastrand(getm()) % 2)
		next = false;
	if (next) {
		/* Only the owner fills an empty slot: no need to exchange. */
		if (likely(!load_rlx(&pp->runnext))) {
			store_rel(&pp->runnext, g);
			return;
		}
		g = atomic_exchange_explicit(&pp->runnext, g, memory_order_acq_rel);
		if (!g)
			return;
	}
	uint32_t head, tail;
	while (!ring_put(pp, g, &head, &tail))
		if (runq_put_slow(pp, g, head, tail))
			return;
}

/* Takes the next G of pp, which belongs to the calling M. *inherit: it goes on in the current time slice. */
struct g *runq_get(struct p *pp, bool *inherit)
{
	struct g *next = load_rlx(&pp->runnext);
	if (next && runq_take_next(pp, next)) {
		*inherit = true;
		return next;
	}
	*inherit = false;
	uint32_t head = load_acq(&pp->runqhead);
	for (;;) {
		uint32_t tail = load_rlx(&pp->runqtail);
		if (tail == head)
			return NULL;
		struct g *g = load_rlx(&pp->runq[head % RUNQ_LEN]);
		if (one_p) {
			store_rel(&pp->runqhead, head + 1);
			return g;
		}
		if (atomic_compare_exchange_weak_explicit(&pp->runqhead, &head, head + 1, memory_order_release,
							  memory_order_acquire))
			return g;
	}
}

/* Does the victim leave its runnext there for 3 µs? Mostly it is about to park and run it. Where G's hand off to each other
 * all the time, it is better not to look on: the slot's cache line is the victim's. Sleeping takes 50 µs longer. */
static bool stays(struct p *victim, struct g *next)
{
	int64_t end = os_nanotime() + 3 * NSEC_PER_USEC;
	if (load_rlx(&sched.sysmonfast)) {
		os_usleep(3 * NSEC_PER_USEC);
		return load_acq(&victim->runnext) == next;
	}
	for (int i = 0; i < 1000 && os_nanotime() < end; i++) {
		arch_pause();
		if (load_acq(&victim->runnext) != next)
			return false;
	}
	return true;
}

/* Copies half of victim's ring behind dst's tail without publishing it; returns how many. */
static uint32_t runq_grab(struct p *victim, struct p *dst, uint32_t dst_tail, bool steal_runnext)
{
	for (;;) {
		uint32_t head = load_acq(&victim->runqhead); /* acquire: pairs with other consumers' release */
		uint32_t tail = load_acq(&victim->runqtail); /* acquire: pairs with the producer's release */
		uint32_t n = tail - head;
		n -= n / 2;
		if (n == 0) {
			if (!steal_runnext)
				return 0;
			struct g *next = load_acq(&victim->runnext);
			if (!next)
				return 0;
			if (load_acq(&victim->status) == Prunning && !stays(victim, next))
				return 0;
			if (!atomic_compare_exchange_strong_explicit(&victim->runnext, &next, NULL, memory_order_acquire,
								     memory_order_relaxed))
				continue;
			store_rlx(&dst->runq[dst_tail % RUNQ_LEN], next);
			return 1;
		}
		if (n > RUNQ_LEN / 2) /* read an inconsistent pair */
			continue;
		for (uint32_t i = 0; i < n; i++)
			store_rlx(&dst->runq[(dst_tail + i) % RUNQ_LEN], load_rlx(&victim->runq[(head + i) % RUNQ_LEN]));
		if (atomic_compare_exchange_strong_explicit(&victim->runqhead, &head, head + n, memory_order_release,
							    memory_order_relaxed))
			return n;
	}
}

/* Takes half of victim's ring to pp (the caller's) and returns one of them. */
struct g *runq_steal(struct p *pp, struct p *victim, bool steal_runnext)
{
	uint32_t tail = load_rlx(&pp->runqtail);
	uint32_t n = runq_grab(victim, pp, tail, steal_runnext);
	if (n == 0)
		return NULL;
	pp->nsteal++;
	pp->nstolen += n;
	if (tracing())
		trace_p(TraceSteal, pp, n, (uint64_t)victim->id);
	n--;
	struct g *g = load_rlx(&pp->runq[(tail + n) % RUNQ_LEN]);
	if (n == 0)
		return g;
	uint32_t head = load_acq(&pp->runqhead);
	check(tail - head + n < RUNQ_LEN);
	store_rel(&pp->runqtail, tail + n);
	return g;
}
