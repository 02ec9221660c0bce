/* profblock.c - profiles of waiting: by who waits (block), by whom is waited for (mutex), and of threads' births.
 *
 * A wait that ends is counted at the place where the thread entered the system call. Short waits are sampled: if an M's waits that
 * are shorter than the rate are laid end to end, those count that lie on points at random distances, on average the rate, and
 * then for as many as they stand for. As with Go's probability of length/rate for each, sums stay right and a hand-off of 100 ns
 * pays for no unwinding; but the common wait costs a subtraction instead of a random number. Sleeps are not counted: nobody is to blame for them.
 *
 * The delay of a lock is charged to where it is unlocked, as Go does it: whoever unlocks pays for what all its waiters have
 * waited since the unlock before, so the sums are the time lost, and the one who keeps the lock for long pays for it. What a lock is, the futex alone must tell: a word that its waiter found to be 2 (glibc's, Rust's and
 * everybody's three-state mutex), or an owner's id with the bit for waiters (robust and PI mutexes), of which one waiter is woken.
 * Condition variables, semaphores, barriers and joins have other values.
 */
#include "prof.h"
#include "futex.h"
#include "objtab.h"

#define LOCKED_WITH_WAITERS 2u
#define OWNED_WITH_WAITERS 0x80000000u
#define MOST_WAITERS 128 /* that one unlock looks at */

/* From one point to the next: any between 0 and twice the rate alike. */
static int64_t distance(struct m *m, uint64_t rate)
{
	return (int64_t)((m_fastrand(m) & UINT32_MAX) * rate >> 31) + 1;
}

/* Of a short wait: on how many points it lies. */
static uint64_t points(struct m *m, int64_t *left, uint64_t ticks, uint64_t rate)
{
	uint64_t n = 0;
	if (*left == -(int64_t)ticks) { /* the M's first one */
		*left += distance(m, rate);
		if (*left > 0)
			return 0;
	}
	do
		n++;
	while ((*left += distance(m, rate)) <= 0);
	return n;
}

/* How many waits, and how many ns, a wait of so many ticks stands for. False: it is not in the sample; most go no further than
 * the first lines. */
static inline bool sampled(enum prof_type t, int64_t *left, struct m *m, uint64_t ticks, uint64_t *count, uint64_t *value)
{
	uint64_t rate = prof.kind[t].rate_ticks;
	*count = 1;
	if (ticks < rate) {
		if (likely((*left -= (int64_t)ticks) > 0))
			return false;
		uint64_t n = points(m, left, ticks, rate);
		if (n == 0 || ticks == 0)
			return false;
		*count = (n * rate + ticks / 2) / ticks;
		ticks = n * rate;
	}
	*value = prof_ns(ticks);
	return true;
}

/* The site at which the calling G is in a shim. */
static uint32_t stack_here(const struct g *g)
{
	struct unwind u;
	unwind_from_site(&u, &unwind_self, g->regs, (uintptr_t)g->regs);
	return prof_stack_of(&u, false);
}

/* What of a wait lies within the profile's time, in ticks. */
static uint64_t waited(enum prof_type t, uint64_t since, uint64_t until)
{
	uint64_t start = prof.kind[t].start_ticks;
	if (since < start)
		since = start;
	return until > since ? until - since : 0;
}

static bool counts(uint8_t reason)
{
	return reason != WaitNone && reason != WaitSleep;
}

static void ended(struct g *g, uint32_t state)
{
	uint64_t count, value;
	/* Since it runs again, or since now: a system call may have kept its M. */
	uint64_t until = g->run_start > g->wait_ticks ? g->run_start : arch_cputicks();
	struct m *m = getm();
	if (sampled(ProfBlock, &m->block_left, m, waited(ProfBlock, g->wait_ticks, until), &count, &value))
		prof_count(ProfBlock, stack_here(g), prof_label_of(g), state, count, value);
}

void prof_block(struct g *g)
{
	if (counts(g->waitreason))
		ended(g, g->waitreason);
}

void prof_block_syscall(struct g *g)
{
	ended(g, ProfSyscall);
}

/* A wait that has not ended, from outside: the G may go on meanwhile, then the wait counts itself. */
static void still_waits(struct g *g)
{
	uint32_t status = load_acq(&g->status);
	uint64_t wait = load_acq(&g->wait), since = g->wait_ticks, goid = g->goid;
	uint8_t reason = g->waitreason;
	struct regs r;
	struct unwind u;
	if (status == Gwaiting ? !counts(reason) : status != Gsyscall)
		return;
	uint64_t ticks = waited(ProfBlock, since, arch_cputicks());
	if (ticks < prof.kind[ProfBlock].rate_ticks || arch_user_copy(&r, g->regs, sizeof(r)))
		return;
	unwind_from_site(&u, &unwind_self, &r, (uintptr_t)g->regs);
	uint32_t stack = prof_stack_of(&u, false);
	atomic_thread_fence(memory_order_acquire);
	if (load_acq(&g->status) == status && load_acq(&g->wait) == wait && g->goid == goid && g->wait_ticks == since)
		prof_count(ProfBlock, stack, prof_label_of(g), status == Gsyscall ? ProfSyscall : reason, 1,
			   prof_ns(ticks));
}

void prof_block_finish(void)
{
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		if (g && g != getg())
			still_waits(g);
	}
}

static bool is_lock(uint32_t val)
{
	return val == LOCKED_WITH_WAITERS || ((val & OWNED_WITH_WAITERS) && (val & ~OWNED_WITH_WAITERS));
}

/* In ticks; 0: nobody waits for a lock there. */
uint64_t prof_mutex_delay_locked(const struct futexbucket *b, uintptr_t addr)
{
	uint64_t now = arch_cputicks(), start = prof.kind[ProfMutex].start_ticks, sum = 0;
	int n = 0;
	for (struct futexw *w = b->head; w && n < MOST_WAITERS; w = w->next) {
		if (w->addr != addr || !is_lock(w->val) || load_acq(&w->g->status) != Gwaiting)
			continue;
		uint64_t since = w->g->wait_ticks > w->charged ? w->g->wait_ticks : w->charged;
		if (since < start)
			since = start;
		sum += now > since ? now - since : 0;
		w->charged = now;
		n++;
	}
	return sum;
}

void prof_mutex(uint64_t delay)
{
	struct g *g = getg();
	uint64_t count, value;
	struct m *m = getm();
	if (g && load_rlx(&g->inshim) && sampled(ProfMutex, &m->mutex_left, m, delay, &count, &value))
		prof_count(ProfMutex, stack_here(g), prof_label_of(g), WaitFutex, count, value);
}

void prof_thread_born(struct g *g)
{
	uint32_t label = prof_label_of_entry(g->entry);
	struct prof_bucket *b = prof_bucket_of(ProfThreads, stack_here(getg()), label, 0);
	if (!b)
		return;
	g->prof_birth = b;
	atomic_fetch_add_explicit(&b->count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->value, 1, memory_order_relaxed);
}

void prof_thread_dead(struct g *g)
{
	atomic_fetch_sub_explicit(&g->prof_birth->value, 1, memory_order_relaxed);
	g->prof_birth = NULL;
}
