/* m.c - kernel threads: their structures, notes, and birth.
 *
 * M's are never destroyed: an idle one sleeps on its note and is used again.
 */
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

/* m must be zeroed. Takes sched.lock. False: there is no memory for its stack. */
bool m_init(struct m *m)
{
	m->g0size = G0_STACK;
	m->g0stack = os_mmap(m->g0size);
	if (!m->g0stack)
		return false;
	m->self = m;
	m->g0sp = (uintptr_t)m->g0stack + m->g0size - 64;
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

/* The caller has counted it in sched.nm. NULL: there is no memory for it; it is not counted any more. */
struct m *m_new(void)
{
	struct m *m = rt_alloc(sizeof(*m));
	if (!m_init(m)) {
		rt_free(m, sizeof(*m));
		lock(&sched.lock);
		sched.nm--;
		unlock(&sched.lock);
		return NULL;
	}
	atomic_fetch_add_explicit(&sched.nmcreated, 1, memory_order_relaxed);
	return m;
}

void m_abandon(struct m *m)
{
	lock(&sched.lock);
	sched.nm--;
	for (struct m **pm = &sched.allm; *pm; pm = &(*pm)->alllink)
		if (*pm == m) {
			*pm = m->alllink;
			break;
		}
	unlock(&sched.lock);
	os_munmap(m->g0stack, m->g0size);
	rt_free(m, sizeof(*m));
}

_Noreturn void m_retire(void)
{
	struct m *m = getm();
	handoffp(releasep());
	lock(&sched.lock);
	sched.nm--;
	for (struct m **pm = &sched.allm; *pm; pm = &(*pm)->alllink)
		if (*pm == m) {
			*pm = m->alllink;
			break;
		}
	checkdead_locked();
	unlock(&sched.lock);
	/* The process lives in its first kernel thread's name: that one only sleeps. */
	while (m == &m0)
		note_sleep(&m->park, -1);
	uint64_t all = ~0ULL;
	prof_m_stop(m);
	sys4(14, 2, &all, 0, 8); /* no signal on a stack that goes away */
	if (m->sigstack)
		os_munmap(m->sigstack, m->sigstack_size);
	void *stack = m->g0stack;
	size_t size = m->g0size;
	rt_free(m, sizeof(*m));
	arch_munmap_exit(stack, size);
}
