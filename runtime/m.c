/* m.c - kernel threads: their structures, notes, birth and end.
 *
 * An idle M sleeps on its note and is used again. One ends if a wired G changed it, or if its kernel thread was not to be had.
 * Its structure then serves another M, once the kernel thread has ended, and nothing else: sysmon and the senders of signals look at
 * M's without a lock.
 */
#include "gs.h"
#include "prof.h"
#include "runtime.h"

#define G0_STACK (64u << 10)

/* Sleeps until note_wake; consumes the wake. ns < 0: for ever, else at most that long. */
void note_sleep(_Atomic uint32_t *note, int64_t ns)
{
	struct m *m = getm();
	sig_sleep_begin(m);
	while (!load_acq(note)) { /* acquire: pairs with the release in note_wake */
		int r = os_futex_sleep(note, 0, ns);
		if (ns >= 0 && r == -110)
			break;
	}
	sig_sleep_end(m);
	store_rlx(note, 0);
}

void note_wake(_Atomic uint32_t *note)
{
	store_rel(note, 1);
	os_futex_wake(note, 1);
}

static struct m *free_ms; /* by schedlink; sched.lock */

/* For a kernel thread that is yet to be made, or for the one that runs. Of what *m was only the stacks are kept. Takes
 * sched.lock. False: there is no memory for its stacks. */
bool m_init(struct m *m)
{
	if (!m->g0stack)
		m->g0stack = os_mmap(G0_STACK);
	if (!m->g0stack || !sig_m_alloc(m))
		return false;
	void *g0stack = m->g0stack;
	*m = (struct m){ .self = m, .g0stack = g0stack, .g0size = G0_STACK, .sigstack = m->sigstack,
			 .sigstack_size = m->sigstack_size };
	m->g0sp = (uintptr_t)g0stack + G0_STACK - 64;
	lock(&sched.lock);
	m->id = (int)sched.mid++;
	m->alllink = sched.allm;
	atomic_thread_fence(memory_order_release);
	sched.allm = m;
	unlock(&sched.lock);
	uint64_t seed = rt_opt.chaos ? rt_opt.chaos : arch_cputicks();
	m->fastrand[0] = (uint32_t)(seed * 2654435761u + (uint32_t)m->id * 40503u) | 1;
	m->fastrand[1] = (uint32_t)(seed >> 32) ^ (uint32_t)m->id * 2246822519u ^ 0x9e3779b9u;
	return true;
}

/* Not one whose kernel thread is still on its way out: the kernel would clear `lives` of the next. */
static struct m *m_alloc(void)
{
	lock(&sched.lock);
	struct m **pm = &free_ms;
	while (*pm && load_rlx(&(*pm)->lives))
		pm = &(*pm)->schedlink;
	struct m *m = *pm;
	if (m)
		*pm = m->schedlink;
	unlock(&sched.lock);
	return m ? m : rt_alloc(sizeof(*m));
}

/* With sched.lock. */
static void m_free_locked(struct m *m)
{
	m->schedlink = free_ms;
	free_ms = m;
}

/* The caller has counted it in sched.nm. NULL: there is no memory for it; it is not counted any more. */
struct m *m_new(void)
{
	struct m *m = m_alloc();
	if (!m_init(m)) {
		lock(&sched.lock);
		sched.nm--;
		m_free_locked(m);
		unlock(&sched.lock);
		return NULL;
	}
	atomic_fetch_add_explicit(&sched.nmcreated, 1, memory_order_relaxed);
	return m;
}

/* With sched.lock. Who walks the list without it finds the way on from m all the same. */
static void m_unlist_locked(struct m *m)
{
	for (struct m **pm = &sched.allm; *pm; pm = &(*pm)->alllink)
		if (*pm == m) {
			*pm = m->alllink;
			break;
		}
}

/* With sched.lock: its kernel thread was not to be had. */
void m_abandon_locked(struct m *m)
{
	m_unlist_locked(m);
	if (m->sysmon)
		return;
	sched.nm--;
	m_free_locked(m);
}

void m_after_fork(struct m *self)
{
	free_ms = NULL;
	sched.nm = 1;
	sched.firstm = sched.allm = self;
	self->alllink = NULL;
}

_Noreturn void m_retire(void)
{
	struct m *m = getm();
	uint64_t all = ~0ULL;
	handoffp(releasep());
	lock(&sched.lock);
	sched.nm--;
	m_unlist_locked(m);
	checkdead_locked();
	unlock(&sched.lock);
	/* The process lives in its first kernel thread's name: that one only sleeps. */
	while (m == sched.firstm)
		note_sleep(&m->park, -1);
	prof_m_stop(m);
	sys4(14, 2, &all, 0, 8); /* no signal on a stack that goes away */
	gs_remove_m(m);
	sig_m_free(m);
	void *stack = m->g0stack;
	size_t size = m->g0size;
	m->g0stack = NULL;
	lock(&sched.lock);
	m_free_locked(m);
	store_rel(&sched.lock.v, 0); /* not by unlock: this is no M any more */
	arch_munmap_exit(stack, size);
}
