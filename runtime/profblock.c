/* profblock.c - profiles of waiting: by who waits (block), by whom is waited for (mutex), and of threads' births.
 *
 * A wait that ends is counted at the place where the thread entered the system call. Short waits are sampled: if an M's waits that
 * are shorter than the rate are laid end to end, those count that lie on points at random distances, on average the rate, and
 * then for as many as they stand for. As with Go's probability of length/rate for each, sums stay right and a hand-off of 100 ns
 * pays for no unwinding; but the common wait costs a subtraction instead of a random number. Sleeps are not counted: nobody is to
 * blame for them.
 *
 * Where many threads wait for each other, all waits are long, and there are as many as hand-offs. So, unless a rate was asked for, an
 * M that takes samples faster than it should doubles its own rate, and halves it again later; a sample stands for the rate
 * by which it was chosen, so sums are right all the time.
 *
 * The delay of a lock is charged to where it is unlocked, as Go does it: whoever unlocks pays for what all its waiters have
 * waited since the unlock before, so the sums are the time lost, and the one who keeps the lock for long pays for it. What a lock is, the futex alone must tell: a word that its waiter found to be 2 (glibc's, Rust's and
 * everybody's three-state mutex), or an owner's id with the bit for waiters (robust and PI mutexes), of which one waiter is woken.
 * Condition variables, semaphores, barriers and joins have other values. Unlocks are sampled in the same way, by the time since
 * the lock's unlock before, which the bucket remembers.
 */
#include "prof.h"
#include "futex.h"
#include "objtab.h"

#define LOCKED_WITH_WAITERS 2u
#define OWNED_WITH_WAITERS 0x80000000u
#define MOST_WAITERS 128 /* that one unlock looks at */
#define SAMPLES_PER_MS 10 /* of an M, at most, unless a rate was asked for */
#define LOOK_EVERY 16	  /* samples: some come close to each other by chance, or since the kernel let others run */
#define TOO_RARE 4	  /* times the distance that this means: samples may be closer */
#define RATE_MOST 100	  /* ms */

static uint64_t below(struct m *m, uint64_t n)
{
	return (uint64_t)((unsigned __int128)(m_fastrand(m) & UINT32_MAX) * n >> 32);
}

/* From one point to the next: on average the rate. */
static int64_t distance(struct m *m, uint64_t rate)
{
	return (int64_t)below(m, 2 * rate - 1) + 1;
}

/* After a sample: the rate for the next ones. */
static void keep_pace(struct prof_kind *k, struct prof_pace *p, struct m *m, uint64_t least)
{
	uint64_t now, gap, wanted = prof.ticks_per_ms / SAMPLES_PER_MS * LOOK_EVERY, rate = p->rate;
	if (!k->adapts)
		return;
	now = arch_cputicks();
	gap = now - p->last;
	if (++p->n < LOOK_EVERY && gap < TOO_RARE * wanted)
		return;
	p->n = 0;
	p->last = now;
	if (gap < wanted && rate < RATE_MOST * prof.ticks_per_ms)
		p->rate = 2 * rate;
	else if (gap >= TOO_RARE * wanted && rate > least)
		p->rate = rate / 2 > least ? rate / 2 : least;
	if (p->rate != rate)
		p->left = distance(m, p->rate);
}

static void begin_pace(struct prof_kind *k, struct prof_pace *p, struct m *m, uint64_t rate)
{
	*p = (struct prof_pace){ k->start_ticks, rate, distance(m, rate), arch_cputicks(), 0 };
}

static bool sampled_slowly(struct prof_kind *k, struct prof_pace *p, uint64_t ticks, uint64_t *count, uint64_t *value)
{
	struct m *m = getm();
	uint64_t n = 0;
	if (p->session != k->start_ticks) {
		begin_pace(k, p, m, k->rate_ticks ? k->rate_ticks : 1);
		if (ticks < p->rate)
			p->left -= (int64_t)ticks;
	}
	*count = 1;
	if (ticks < p->rate) {
		for (; p->left <= 0; n++)
			p->left += distance(m, p->rate);
		if (n == 0 || ticks == 0)
			return false;
		*count = (n * p->rate + ticks / 2) / ticks;
		ticks = n * p->rate;
	}
	*value = ticks;
	keep_pace(k, p, m, k->rate_ticks);
	return true;
}

/* How many waits, and how many ticks, a wait of so many ticks stands for. False: it is not in the sample. */
static inline bool sampled(struct prof_kind *k, struct prof_pace *p, uint64_t ticks, uint64_t *count, uint64_t *value)
{
	if (likely(p->session == k->start_ticks && ticks < p->rate && (p->left -= (int64_t)ticks) > 0))
		return false;
	return sampled_slowly(k, p, ticks, count, value);
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
	if (sampled(&prof.kind[ProfBlock], &getm()->block_pace, waited(ProfBlock, g->wait_ticks, until), &count, &value))
		prof_count(ProfBlock, stack_here(g), prof_label_of(g), state, count, prof_ns(value));
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

/* The unlock before this one, in ticks; 0: not known. */
static uint64_t unlock_before_locked(struct futexbucket *b, uintptr_t addr, uint64_t now)
{
	int i = b->unlock[0].addr == addr ? 0 : b->unlock[1].addr == addr ? 1 : b->unlock[0].ticks > b->unlock[1].ticks;
	uint64_t before = b->unlock[i].addr == addr ? b->unlock[i].ticks : 0;
	b->unlock[i].addr = addr;
	b->unlock[i].ticks = now;
	return before;
}

static uint64_t waited_for_locked(const struct futexbucket *b, uintptr_t addr, uint64_t start, uint64_t now)
{
	uint64_t sum = 0;
	int n = 0;
	for (struct futexw *w = b->head; w && n < MOST_WAITERS; w = w->next) {
		if (w->addr != addr || !is_lock(w->val) || load_acq(&w->g->status) != Gwaiting)
			continue;
		uint64_t since = w->g->wait_ticks > start ? w->g->wait_ticks : start;
		sum += now > since ? now - since : 0;
		n++;
	}
	return sum;
}

/* What those who wait for a lock there have waited since it was unlocked the last time, in ticks, times what this unlock stands for;
 * 0: it is not in the sample. */
uint64_t prof_mutex_delay_locked(struct futexbucket *b, uintptr_t addr, uint64_t *count)
{
	struct prof_kind *k = &prof.kind[ProfMutex];
	uint64_t now = arch_cputicks(), start = unlock_before_locked(b, addr, now), stands_for;
	if (start < k->start_ticks)
		start = k->start_ticks;
	uint64_t span = now > start ? now - start : 0;
	if (!sampled(k, &getm()->mutex_pace, span, count, &stands_for))
		return 0;
	uint64_t sum = waited_for_locked(b, addr, start, now);
	return stands_for == span ? sum : sum / span * stands_for + sum % span * stands_for / span;
}

void prof_mutex(uint64_t delay, uint64_t count)
{
	struct g *g = getg();
	if (g && load_rlx(&g->inshim))
		prof_count(ProfMutex, stack_here(g), prof_label_of(g), WaitFutex, count, prof_ns(delay));
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
