/* sigqueue.c - pending signals: sets, queues in order of arrival, and the inbox of the kernel-side handler.
 *
 * A pending set has a bit per signal and a list of nodes with siginfo. A standard signal is queued once, a real-time
 * signal every time. Nodes come from a pool that is bounded by RLIMIT_SIGPENDING, by the kernel's rules: at the limit a
 * real-time signal is refused, unless kill() sends it; a standard signal, or one from kill(), is still pending, with an
 * empty siginfo; a standard one from kill() or the kernel has a node even so, and so has a timer, which brings its own.
 * What came through the kernel was counted and accepted there, and is never refused here. The kernel counts what all
 * processes of the user have queued, we only what this one has. All of this is under siglock.
 *
 * The inbox is for a handler that interrupted preloom's own code, which may hold siglock or any other lock: a bounded
 * ring with many producers that take no lock. A producer reserves a slot by CAS on the tail, writes it and publishes
 * it by the slot's number; handlers block all asynchronous signals while they run, so on one M producers do not nest.
 * Consumers hold siglock. Rejected: a lock-free free list for the pool, which would need tags against reuse.
 */
#include "sigimpl.h"

#define INBOX_SLOTS 1024 /* a power of two */
#define POOL_CHUNK (64u << 10)
#define RLIMIT_SIGPENDING_NR 11

struct lock siglock = LOCK_INIT(RankSignal);
struct sigpending sig_shared;

static struct sigq *pool;
static uint64_t nqueued;
static _Atomic uint64_t maxqueued;

struct slot {
	_Atomic uint32_t number;
	struct inbox_item item;
};
static struct slot ring[INBOX_SLOTS];
static _Atomic uint32_t ring_tail;
static _Atomic uint32_t ring_head; /* written under siglock */

/* The program has changed the limit, or may have had it changed. */
void sig_limit_changed(void)
{
	uint64_t limit[2] = { ~0ULL, 0 };
	sys4(__NR_prlimit64, 0, RLIMIT_SIGPENDING_NR, 0, limit);
	store_rlx(&maxqueued, limit[0]);
}

static bool limit_reached(void)
{
	if (likely(nqueued < load_rlx(&maxqueued)))
		return false;
	sig_limit_changed(); /* another process may have raised it */
	return nqueued >= load_rlx(&maxqueued);
}

static struct sigq *node_get(bool always)
{
	if (!always && limit_reached())
		return NULL;
	if (!pool) {
		struct sigq *chunk = os_mmap(POOL_CHUNK);
		if (!chunk)
			return NULL;
		for (size_t i = 0; i < POOL_CHUNK / sizeof(*chunk); i++) {
			chunk[i].next = pool;
			pool = &chunk[i];
		}
	}
	struct sigq *q = pool;
	pool = q->next;
	nqueued++;
	return q;
}

static void node_put(struct sigq *q)
{
	q->next = pool;
	pool = q;
	nqueued--;
}

bool sigq_add(struct sigpending *p, const struct ksiginfo *info, bool accepted)
{
	int sig = info->signo;
	uint64_t set = load_rlx(&p->set);
	bool timer = info->code == CODE_TIMER && sig_timer_find(info->timer);
	if (sig < SIGRTMIN && (set & sigbit(sig)) && !timer)
		return true;
	struct sigq *q = node_get(accepted || timer || (sig < SIGRTMIN && info->code >= 0));
	if (q) {
		q->info = *info;
		q->next = NULL;
		if (p->tail)
			p->tail->next = q;
		else
			p->head = q;
		p->tail = q;
	} else if (sig >= SIGRTMIN && info->code != CODE_USER) {
		return false;
	}
	/* seq_cst: pairs with the mask change in sig_setmask, either it sees the bit or we see the mask */
	atomic_fetch_or(&p->set, sigbit(sig));
	return true;
}

/* The kernel's order: what an instruction raised, then the lowest number. */
static int first_signal(uint64_t set)
{
	if (set & SIG_SYNC)
		set &= SIG_SYNC;
	return __builtin_ctzll(set) + 1;
}

bool sigq_take(struct sigpending *p, uint64_t set, struct ksiginfo *info)
{
	set &= load_rlx(&p->set);
	if (!set)
		return false;
	int sig = first_signal(set);
	struct sigq *q, *found = NULL, *prev = NULL, *found_prev = NULL;
	bool more = false;
	for (q = p->head; q; prev = q, q = q->next) {
		if (q->info.signo != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = q;
		found_prev = prev;
	}
	if (found) {
		*info = found->info;
		if (found_prev)
			found_prev->next = found->next;
		else
			p->head = found->next;
		if (p->tail == found)
			p->tail = found_prev;
		node_put(found);
		if (info->code == CODE_TIMER)
			sig_timer_taken(info);
	} else {
		*info = (struct ksiginfo){ .signo = sig, .code = CODE_USER };
	}
	if (!more)
		atomic_fetch_and(&p->set, ~sigbit(sig));
	if (sig == SIGALRM && p == &sig_shared)
		sig_timer_alarm_taken();
	return true;
}

void sigq_flush(struct sigpending *p, uint64_t set)
{
	if (!(load_rlx(&p->set) & set))
		return;
	struct sigq **link = &p->head, *last = NULL;
	while (*link) {
		struct sigq *q = *link;
		if (set & sigbit(q->info.signo)) {
			*link = q->next;
			if (q->info.code == CODE_TIMER)
				sig_timer_taken(&q->info);
			node_put(q);
		} else {
			last = q;
			link = &q->next;
		}
	}
	p->tail = last;
	atomic_fetch_and(&p->set, ~set);
	if (set & sigbit(SIGALRM) && p == &sig_shared)
		sig_timer_alarm_taken();
}

bool sigq_drop_timer(struct sigpending *p, int id)
{
	struct sigq **link = &p->head, *last = NULL, *found = NULL;
	uint64_t rest = 0;
	while (*link) {
		struct sigq *q = *link;
		if (q->info.code == CODE_TIMER && q->info.timer == id) {
			*link = q->next;
			found = q;
		} else {
			rest |= sigbit(q->info.signo);
			last = q;
			link = &q->next;
		}
	}
	p->tail = last;
	if (!found)
		return false;
	if (!(rest & sigbit(found->info.signo)))
		atomic_fetch_and(&p->set, ~sigbit(found->info.signo));
	node_put(found);
	return true;
}

/* --- the inbox --- */

bool inbox_put(struct g *to, const struct ksiginfo *info)
{
	uint32_t at = load_rlx(&ring_tail);
	for (;;) {
		struct slot *s = &ring[at % INBOX_SLOTS];
		/* acquire: pairs with the release in inbox_get, the slot is empty */
		uint32_t n = load_acq(&s->number);
		if (n == at) {
			if (!atomic_compare_exchange_weak_explicit(&ring_tail, &at, at + 1, memory_order_relaxed,
								   memory_order_relaxed))
				continue;
			s->item.to = to;
			s->item.goid = to ? to->goid : 0;
			s->item.info = *info;
			store_rel(&s->number, at + 1);
			return true;
		}
		if ((int32_t)(n - at) < 0)
			return false;
		at = load_rlx(&ring_tail);
	}
}

bool inbox_get(struct inbox_item *it)
{
	uint32_t at = load_rlx(&ring_head);
	struct slot *s = &ring[at % INBOX_SLOTS];
	if (load_acq(&s->number) != at + 1) /* acquire: pairs with the release in inbox_put */
		return false;
	*it = s->item;
	store_rel(&s->number, at + INBOX_SLOTS);
	store_rel(&ring_head, at + 1);
	return true;
}

bool sig_inbox_empty(void)
{
	return load_rlx(&ring_head) == load_rlx(&ring_tail);
}

static void ring_reset(void)
{
	store_rlx(&ring_head, 0);
	store_rlx(&ring_tail, 0);
	for (uint32_t i = 0; i < INBOX_SLOTS; i++)
		store_rlx(&ring[i].number, i);
}

void sigq_init(void)
{
	ring_reset();
	sig_limit_changed();
}

/* A child has no pending signals. After a vfork the pool may be in the middle of a change: leave it behind. */
void sigq_reset_after_fork(void)
{
	store_rlx(&siglock.v, 0);
	pool = NULL;
	nqueued = 0;
	sig_shared = (struct sigpending){ 0 };
	ring_reset();
}
