/* world.c - a system call that must be made on every kernel thread.
 *
 * Credentials belong to kernel threads, but a program that changes them means the process. The caller makes the call on
 * its own M; if that succeeds, every other M is kicked and makes it in its signal handler, and the caller waits for
 * all. Each makes it once: setuid(0) by who is not root, but has it as its saved id, sets one id the first time and all
 * three the second. So a new M has seen what its maker had when it copied the maker's credentials (os_newm).
 *
 * An M whose wired G changed it may get another result: that is its G's (world_result), and glibc's to judge.
 */
#include "runtime.h"

static struct lock world_lock = LOCK_INIT(RankSignal);
static struct {
	long nr, args[3], result;
	_Atomic uint32_t generation; /* of the call under way; 0: none yet */
	_Atomic uint32_t done;	     /* counts answers; what the caller sleeps on */
	_Atomic uint32_t differs;
} world;

/* Has m made it? One with a wired G may have made the next one ahead of all. */
static bool has_seen(const struct m *m, uint32_t gen)
{
	return (int32_t)(load_acq(&m->world_seen) - gen) >= 0;
}

static long make_call(void)
{
	return sys5(world.nr, world.args[0], world.args[1], world.args[2], 0, 0);
}

/* In the signal handler, on whatever stack. */
void world_answer(struct m *m)
{
	uint32_t gen = load_acq(&world.generation); /* acquire: pairs with the release in world_call */
	if (likely(has_seen(m, gen)) || m->tainted)
		return;
	m->world_result = make_call();
	if (m->world_result != world.result && !m->lockedg)
		store_rel(&world.differs, 1);
	store_rel(&m->world_seen, gen);
	atomic_fetch_add(&world.done, 1);
	os_futex_wake(&world.done, 1);
}

/* Kicks those that have not answered; false if there are none. An M without an id is still being made; one whose wired G
 * has ended runs nothing any more. */
static bool kick_others(struct m *self, uint32_t gen)
{
	bool any = false;
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink) {
		if (m == self || m->tainted || has_seen(m, gen))
			continue;
		any = true;
		sig_kick(m);
	}
	unlock(&sched.lock);
	return any;
}

/* The G on m could make a change that others could not, as it is wired and has, say, kept a capability. If it is the only one
 * nobody is to follow natively. Kernel threads that are left from earlier have nothing more to run then: those that it makes
 * have copies of its own. */
static void only_thread_differs(struct m *m)
{
	if (!m->lockedg || load_acq(&sched.ngs) > 1)
		throw("world_call: a kernel thread could not follow a change of credentials");
	m->lockedg->confined = true;
	store_rlx(&world.differs, 0);
}

/* Makes the call on this M and, if it succeeds, on all others. Returns this M's result. */
long world_call(long nr, long a1, long a2, long a3)
{
	struct m *m = getm();
	long args[3] = { a1, a2, a3 };
	while (!trylock(&world_lock))
		gosched();
	m = getm();
	long ret = sys5(nr, a1, a2, a3, 0, 0);
	if (ret == 0) {
		world.nr = nr;
		world.result = ret;
		for (int i = 0; i < 3; i++)
			world.args[i] = args[i];
		uint32_t gen = load_rlx(&world.generation) + 1;
		m->world_result = ret;
		store_rel(&m->world_seen, gen);
		store_rel(&world.generation, gen); /* release: the call is complete for whoever sees the number */
		uint32_t done = load_acq(&world.done);
		while (kick_others(m, gen)) {
			os_futex_sleep(&world.done, done, NSEC_PER_MSEC);
			done = load_acq(&world.done);
		}
		if (unlikely(load_acq(&world.differs)))
			only_thread_differs(m);
	}
	unlock(&world_lock);
	return ret;
}

/* A wired G makes the call on its own M, before it is made on all: that will be the next one. If it is refused here, the next one
 * may be another. */
long world_call_ahead(long nr, long a1, long a2, long a3)
{
	while (!trylock(&world_lock))
		gosched();
	struct m *m = getm();
	long ret = sys5(nr, a1, a2, a3, 0, 0);
	m->world_result = ret;
	if (ret == 0)
		store_rel(&m->world_seen, load_rlx(&world.generation) + 1);
	unlock(&world_lock);
	return ret;
}

void world_after_fork(struct m *self)
{
	store_rlx(&world_lock.v, 0);
	store_rlx(&self->world_seen, load_rlx(&world.generation));
}
