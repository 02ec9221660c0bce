/* circle.c - finds G's that wait for each other for ever while others run: a circle of owners of locks, and of joins.
 *
 * sysmon looks now and then. A G that has waited on a futex word for more than a second, without a timeout, may wait for a
 * mutex: then glibc's layout has the owner's thread id behind the word (PI mutexes have it in the word). Or for the end of a
 * thread, whose id is in the word then; or for a read-write lock that has a writer: its fields must all be what they are in such a
 * lock, as there is no way to ask whether it is one. From there the owner's own wait is looked at in the same way. A chain that comes back to where it began is a circle, if it is still
 * there, with the same waits, when sysmon comes by again; nothing but a deadlock looks like that. It is reported once,
 * with its stacks, by the command (helper.c), and the program goes on.
 *
 * A pass over all G's is done in pieces, so that a million of them do not keep sysmon from its work. While the process is idle
 * nothing new comes up: then sysmon may sleep for ever after a few more passes, but not before, as a server whose threads wait
 * for each other is mostly just that, idle.
 */
#include "circle.h"
#include "crash.h"
#include "helper.h"
#include "runtime.h"
#include <asm/errno.h>

#define PERIOD NSEC_PER_SEC
#define LONG_WAIT NSEC_PER_SEC
#define PIECE 4096
#define LONGEST 64
#define IDLE_PASSES 4 /* one that may have begun before, one that comes too early for LONG_WAIT, one that suspects, one that tells */
#define REMEMBERED 32
#define MUTEX_OWNER 8 /* offset in pthread_mutex_t; the futex word is at 0 */
#define CONTENDED 2
#define TID_MASK 0x3fffffffu
#define RWLOCK_WORD_USED 2 /* in both words that are waited on: somebody waits */
#define RWLOCK_WRITTEN 3   /* in `readers`: a writer has it */
#define RWLOCK_KINDS 2

/* glibc's pthread_rwlock_t since 2.25. */
struct rwlock {
	uint32_t readers, writers, phase, writer; /* the last two are waited on */
	uint32_t pad[2];
	uint32_t owner;
	int32_t shared;
	int8_t elision;
	uint8_t pad1[7];
	uint64_t pad2;
	uint32_t kind;
};

enum tie { TieMutex, TieRwlock, TieJoin };
static const char *const ties[] = { "the mutex at %p, held by", "the rwlock at %p, held by", "the end (at %p) of" };

static struct {
	int64_t next_look;
	uint32_t slot;	/* where the next piece begins */
	uint64_t ticks; /* LONG_WAIT in ticks */
	uint64_t suspect[REMEMBERED], told[REMEMBERED];
	uint32_t nsuspect, ntold;
	int helper; /* that is at work, 0: none */
	uint64_t nswitch; /* when the process was last seen idle */
	uint32_t passes;  /* since then, without a switch */
} at;

static uint64_t ticks_of(int64_t ns, int64_t now)
{
	int64_t ran = now - sched.start_ns;
	uint64_t ticks = arch_cputicks() - sched.start_ticks;
	return ran > NSEC_PER_MSEC ? ticks / (uint64_t)(ran / NSEC_PER_MSEC) * (uint64_t)(ns / NSEC_PER_MSEC) : ~0ULL;
}

static struct g *writer_of(uintptr_t at)
{
	struct rwlock l;
	uintptr_t base = at - (at % 8 == 4 ? offsetof(struct rwlock, writer) : offsetof(struct rwlock, phase));
	if (arch_user_copy(&l, (const void *)base, sizeof(l)))
		return NULL;
	bool sound = !l.pad[0] && !l.pad[1] && !l.pad2 && l.shared >= 0 && l.shared <= 1 && l.kind <= RWLOCK_KINDS;
	return sound && (l.readers & RWLOCK_WRITTEN) == RWLOCK_WRITTEN ? g_by_tid(l.owner) : NULL;
}

/* Whom g has been waiting for for long; NULL: for nobody, or that cannot be told. */
static struct g *waits_for(struct g *g, enum tie *tie)
{
	uint32_t word, tid;
	if (load_acq(&g->status) != Gwaiting || load_rlx(&g->timer.pp) || arch_cputicks() - g->wait_ticks < at.ticks)
		return NULL;
	if (g->waitreason != WaitFutex && g->waitreason != WaitFutexPI)
		return NULL;
	if (arch_user_load32((const void *)g->wait_addr, &word))
		return NULL;
	*tie = TieMutex;
	if (g->waitreason == WaitFutexPI)
		return g_by_tid(word & TID_MASK);
	struct g *x = word == CONTENDED && !arch_user_load32((const void *)(g->wait_addr + MUTEX_OWNER), &tid) ? g_by_tid(tid) : NULL;
	if (x)
		return x;
	*tie = TieJoin;
	x = g_by_tid(word);
	if (x && x->clear_tid == g->wait_addr)
		return x;
	*tie = TieRwlock;
	return word & RWLOCK_WORD_USED && word <= (RWLOCK_WORD_USED | 1) ? writer_of(g->wait_addr) : NULL;
}

/* The circle through g, as a number that names its waits; 0: there is none, or g is not its oldest member. */
static uint64_t circle_of(struct g *g)
{
	uint64_t sum = 0;
	struct g *x = g;
	enum tie tie;
	for (int n = 0; n < LONGEST; n++) {
		sum += (x->goid * 0x9e3779b97f4a7c15ULL) ^ load_rlx(&x->wait);
		x = waits_for(x, &tie);
		if (x == g)
			return sum | 1;
		if (!x || x->goid < g->goid)
			return 0;
	}
	return 0;
}

static bool among(const uint64_t *list, uint32_t n, uint64_t id)
{
	for (uint32_t i = 0; i < n && i < REMEMBERED; i++)
		if (list[i] == id)
			return true;
	return false;
}

static void print_circle(struct g *g)
{
	struct g *x = g;
	enum tie tie;
	do {
		struct g *owner = waits_for(x, &tie);
		if (!owner)
			return;
		rt_printf(rt_opt.logfd, "\tgoroutine %lu \"%s\" waits for ", (unsigned long)x->goid, x->name);
		rt_printf(rt_opt.logfd, ties[tie], (void *)x->wait_addr);
		rt_printf(rt_opt.logfd, " goroutine %lu\n", (unsigned long)owner->goid);
		x = owner;
	} while (x != g);
}

static void report(struct g *g)
{
	struct helper_request r = { .event = "circle", .goid = g->goid, .level = TracebackAll };
	rt_printf(rt_opt.logfd, "preloom: deadlock: goroutines wait for each other in a circle, while others run\n");
	int pid = rt_opt.traceback == TracebackNone ? -ENOENT : helper_start(&r);
	if (pid > 0)
		at.helper = pid;
	else
		print_circle(g);
}

static void look_at(struct g *g)
{
	enum tie tie;
	uint64_t id = waits_for(g, &tie) ? circle_of(g) : 0;
	if (!id || among(at.told, at.ntold, id))
		return;
	if (!among(at.suspect, at.nsuspect, id)) {
		at.suspect[at.nsuspect++ % REMEMBERED] = id;
		return;
	}
	if (at.helper) /* still at work on another one: later */
		return;
	at.told[at.ntold++ % REMEMBERED] = id;
	report(g);
}

void circle_tick(int64_t now)
{
	if (at.helper && helper_result(at.helper, false) != -EAGAIN)
		at.helper = 0;
	if (!rt_opt.deadlock)
		return;
	at.ticks = ticks_of(LONG_WAIT, now);
	uint32_t n = g_count();
	for (uint32_t i = 0; i < PIECE && at.slot < n; i++) {
		struct g *g = g_at(at.slot++);
		if (g)
			look_at(g);
	}
	if (at.slot >= n) {
		at.slot = 0;
		at.passes++;
		at.next_look = now + PERIOD;
	}
}

int64_t circle_next(void)
{
	return at.next_look;
}

bool circle_settled(uint64_t nswitch)
{
	if (nswitch != at.nswitch) {
		at.nswitch = nswitch;
		at.passes = 0;
	}
	return !rt_opt.deadlock || (at.passes >= IDLE_PASSES && !at.helper);
}

void circle_after_fork(void)
{
	at.passes = 0;
	at.slot = at.nsuspect = at.ntold = 0;
	at.helper = 0;
}
