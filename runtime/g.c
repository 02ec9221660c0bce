/* g.c - G's: their table, identities, status changes and reuse.
 *
 * G's are never given back to the kernel: a stale (g, number) pair or a table walk may always look at one. The table,
 * indexed by slot, is made in pieces: address space for all would be much of a small RLIMIT_AS. The thread id encodes the
 * slot, and a generation so that a dead thread's id does not come back soon: bit 29 set (above any pid_max, below futex's
 * owner-died and waiters bits), bit 28 clear (else the thread's CPU clock would have the number of no clock), 7 bits of
 * generation, 21 bits of slot.
 *
 * Mutexes shared between processes know their owner by this id, so two processes must not use the same ones: all of a
 * process's are shifted by a number made of its pid. Multiples of the golden ratio lie as far from each other as may
 * be; ids of two processes can only meet where their threads fill the space between, thousands of slots for a
 * thousand processes.
 */
#include "inspect.h"
#include "runtime.h"
#include <linux/mman.h>

#define MAX_SLOTS (1u << 21)
#define TID_BASE (1u << 29)
#define TID_BITS ((1u << 28) - 1)
#define GOLDEN_RATIO 0x9e3779b1u /* times 2^32 */
#define PIECE 4096u /* slots */
#define SLAB (256u << 10) /* mapped as such: pages are touched as they are needed */
#define HUGE (2u << 20)	  /* the size of later slabs, each a huge page if there is one: a fifth of the time to touch it */
#define HUGE_FROM 2048u	  /* slots */

typedef struct g *_Atomic entry;
static entry *_Atomic table[MAX_SLOTS / PIECE];
static _Atomic uint32_t nslots;
static struct lock allg_lock = LOCK_INIT(RankAllg);
static struct g *slab;
static uint32_t slab_left;
static uint32_t tid_shift;

uint32_t g_count(void)
{
	return load_acq(&nslots);
}

struct g *g_at(uint32_t slot)
{
	entry *piece = load_acq(&table[slot / PIECE]);
	return piece ? load_acq(&piece[slot % PIECE]) : NULL;
}

void g_describe_table(struct inspect_header *h)
{
	h->gtable = (uintptr_t)table;
	h->gcount = (uintptr_t)&nslots;
	h->gpiece = PIECE;
}

struct g *g_by_tid(uint32_t tid)
{
	if (tid & TID_BASE) {
		uint32_t slot = (tid - tid_shift) & (MAX_SLOTS - 1);
		struct g *g = slot < g_count() ? g_at(slot) : NULL;
		return g && g->tid == tid && load_acq(&g->status) != Gdead ? g : NULL;
	}
	return main_g && main_g->tid == tid && load_acq(&main_g->status) != Gdead ? main_g : NULL;
}

/* 2 MiB at a multiple of that; NULL: none to be had. */
static void *huge_slab(void)
{
	char *p = os_mmap(2 * HUGE);
	if (!p)
		return NULL;
	char *slab_lo = (char *)align_up((uintptr_t)p, HUGE), *end = p + 2 * HUGE;
	if (slab_lo > p)
		os_munmap(p, (size_t)(slab_lo - p));
	os_munmap(slab_lo + HUGE, (size_t)(end - slab_lo - HUGE));
	os_madvise(slab_lo, HUGE, MADV_HUGEPAGE);
	return slab_lo;
}

static bool slab_new_locked(uint32_t slot)
{
	size_t size = HUGE;
	slab = slot >= HUGE_FROM ? huge_slab() : NULL;
	if (!slab) {
		size = SLAB;
		slab = os_mmap(size);
	}
	slab_left = slab ? (uint32_t)(size / sizeof(struct g)) : 0;
	return slab != NULL;
}

static bool room_locked(uint32_t slot)
{
	if (slot == MAX_SLOTS)
		return false;
	if (!load_rlx(&table[slot / PIECE])) {
		entry *piece = os_mmap(PIECE * sizeof(*piece));
		if (!piece)
			return false;
		store_rel(&table[slot / PIECE], piece);
	}
	return slab_left != 0 || slab_new_locked(slot);
}

static struct g *g_fresh(void)
{
	struct g *g = NULL;
	lock(&allg_lock);
	uint32_t slot = load_rlx(&nslots);
	if (room_locked(slot)) {
		g = slab++;
		slab_left--;
		g->slot = slot;
		store_rlx(&g->status, Gdead);
		store_rel(&table[slot / PIECE][slot % PIECE], g);
		store_rel(&nslots, slot + 1);
	}
	unlock(&allg_lock);
	return g;
}

/* All of a fresh one is zero. */
static void g_clear(struct g *g)
{
	uint64_t wait = load_rlx(&g->wait); /* its number must go on rising: somebody may keep an old one */
	uint32_t slot = g->slot, tid = g->tid;
	struct lockcheck_thread *lockcheck = g->lockcheck;
	struct g zero = { 0 };
	*g = zero;
	g->lockcheck = lockcheck;
	store_rlx(&g->status, Gdead);
	g->slot = slot;
	g->tid = tid;
	store_rlx(&g->wait, wait & ~0xffffffffULL);
}

static void g_reset(struct g *g)
{
	if (g->tid)
		g_clear(g);
	uint32_t gen = (g->tid - tid_shift) >> 21;
	g->tid = TID_BASE | ((((gen + 1) << 21 | g->slot) + tid_shift) & TID_BITS);
	g->goid = atomic_fetch_add_explicit(&sched.goidgen, 1, memory_order_relaxed) + 1;
}

/* A G for reuse from the P's list, or a batch for that list from the global one. */
static struct g *gfree_get(struct p *pp)
{
	if (!pp->gfree && sched.gfree) {
		lock(&sched.lock);
		while (sched.gfree && pp->ngfree < 32) {
			struct g *g = sched.gfree;
			sched.gfree = g->schedlink;
			sched.ngfree--;
			g->schedlink = pp->gfree;
			pp->gfree = g;
			pp->ngfree++;
		}
		unlock(&sched.lock);
	}
	struct g *g = pp->gfree;
	if (g) {
		pp->gfree = g->schedlink;
		pp->ngfree--;
	}
	return g;
}

struct g *g_new(void)
{
	struct m *m = getm();
	struct g *g = m && m->p ? gfree_get(m->p) : NULL;
	if (!g)
		g = g_fresh();
	if (!g)
		return NULL;
	g_reset(g);
	g_setstatus(g, Gdead, Gidle);
	return g;
}

void g_free(struct g *g)
{
	struct p *pp = getm()->p;
	g->schedlink = pp->gfree;
	pp->gfree = g;
	if (++pp->ngfree < 64)
		return;
	lock(&sched.lock);
	while (pp->ngfree > 32) {
		g = pp->gfree;
		pp->gfree = g->schedlink;
		pp->ngfree--;
		g->schedlink = sched.gfree;
		sched.gfree = g;
		sched.ngfree++;
	}
	unlock(&sched.lock);
}

void g_set_pid(int pid)
{
	tid_shift = (uint32_t)pid * GOLDEN_RATIO >> 11;
}

/* A fork must not come between two steps of g_fresh. */
void g_lock_for_fork(void)
{
	lock(&allg_lock);
}

void g_unlock_for_fork(void)
{
	unlock(&allg_lock);
}

/* In the child of a fork only `self` lives; the others' memory stays theirs, as stale pointers may remain. */
void g_reinit_after_fork(struct g *self)
{
	sched.gfree = NULL;
	sched.ngfree = 0;
	store_rlx(&allg_lock.v, 0);
	g_set_pid(os_getpid());
	for (uint32_t i = 0; i < load_rlx(&nslots); i++) {
		struct g *g = g_at(i);
		if (!g || g == self)
			continue;
		store_rlx(&g->status, Gdead);
		g->schedlink = sched.gfree;
		sched.gfree = g;
		sched.ngfree++;
	}
}
