/* spin.c - an M without work looks on for some microseconds before it sleeps, where that has been worth it.
 *
 * Waking a kernel thread costs 13-40 µs. A program that forks and joins work all the time (OpenMP) has P's that are idle
 * for less than that, so each round would lose the time of a wake. Whether it is such a program shows when M's are woken
 * that went idle only just before: that is worth a credit of two. Going to sleep costs one, looking on in vain two more.
 * While there is credit, an M that finds no work keeps its P, counts as spinning, so that readiers leave it to find
 * their G's, and looks at the other P's queues for SPIN_TIME.
 *
 * None spins where there are more P's than CPUs, nor while descriptors are waited for: these are found by sleeping.
 * Rejected: always spinning, which costs a CPU whenever G's sleep for a little longer than that.
 *
 * And an M whose G fights with one on another CPU for a word of memory leaves it to that one for a moment. Else each passes a
 * lock's cache lines to the other at nearly every turn, which takes longer than the turn: 100 threads at one mutex took 220 ns
 * a section on two CPUs and 84 on one; so they take 110.
 */
#include "runtime.h"

#define SHORT_IDLE (50 * NSEC_PER_USEC)
#define SPIN_TIME (20 * NSEC_PER_USEC) /* what a wake costs */
#define CREDIT_MAX 8
#define CREDIT_SPIN 4
#define LOOKS_PER_CLOCK 16
#define LOOKS_MAX 65536

/* In ticks of 2 to 3 GHz. Half of the time at most is given away. Longer ones are worth little more, and whoever does something
 * longer with the lock gets by on his own: he meets the other seldom. */
#define TICKS_APART (1 << 12) /* 1.4 to 2 µs */
#define TICKS_FIGHT (2 * TICKS_APART)
#define FIGHT_MIN 3 /* so often in a row, or it is chance: one wait in eight finds another value where a lock is held for 0.4 µs */
#define PAUSES_MAX 1024

static _Atomic int64_t idle_since;
static _Atomic int32_t credit; /* changed without care for other M's: it is only an estimate */

static void change_credit(int32_t by)
{
	int32_t c = load_rlx(&credit) + by;
	store_rlx(&credit, c < 0 ? 0 : c > CREDIT_MAX ? CREDIT_MAX : c);
}

/* Each P has a CPU, and there are several. */
bool spin_allowed(void)
{
	return sched.nprocs > 1 && sched.nprocs <= rt_opt.cpus;
}

/* An M goes to sleep. */
void spin_idle(void)
{
	if (!spin_allowed())
		return;
	store_rlx(&idle_since, os_nanotime());
	change_credit(-1);
}

/* An M is woken for a G. */
void spin_woken(void)
{
	if (spin_allowed() && os_nanotime() - load_rlx(&idle_since) < SHORT_IDLE)
		change_credit(2);
}

/* What a thief may take from others at once; *next: what it may take if it stays there. */
static bool in_sight(struct p *self, struct g **next)
{
	*next = NULL;
	if (load_acq(&sched.runqsize))
		return true;
	for (int i = 0; i < sched.nprocs; i++) {
		struct p *pp = &allp[i];
		if (pp == self || load_rlx(&pp->status) == Pidle)
			continue;
		if (load_rlx(&pp->runqhead) != load_rlx(&pp->runqtail))
			return true;
		if (!*next)
			*next = load_rlx(&pp->runnext);
	}
	return false;
}

/* This M's P has nothing to do. True: look again. */
bool spin_idly(struct m *m)
{
	if (likely(load_rlx(&credit) < CREDIT_SPIN) || !m->spinning || netpoll_waiters())
		return false;
	struct p *pp = m->p;
	struct g *next, *seen = NULL;
	pp->nspin++;
	int64_t now = os_nanotime(), end = now + SPIN_TIME, timer = load_rlx(&pp->timers.first);
	if (timer && timer < end) /* it wakes itself */
		return false;
	for (int i = 1; i < LOOKS_MAX && now < end; i++) {
		if (in_sight(pp, &next) || stack_ahead_wanted())
			return true;
		arch_pause();
		if (i % LOOKS_PER_CLOCK)
			continue;
		now = os_nanotime();
		if (next && next == seen)
			return true;
		seen = next;
	}
	change_credit(-2);
	return false;
}

/* A futex wait of the calling G found that the word had changed within the 50 ns since the G looked at it. */
void spin_apart(uintptr_t addr)
{
	struct p *pp = getm()->p;
	uint64_t now = arch_cputicks();
	bool again = pp->fight_addr == addr && now - pp->fight_ticks < TICKS_FIGHT;
	pp->fight_waits = again ? pp->fight_waits + 1 : 0;
	pp->fight_addr = addr;
	pp->fight_ticks = now;
	if (pp->fight_waits < FIGHT_MIN || !spin_allowed())
		return;
	pp->nfight++;
	for (int i = 0; i < PAUSES_MAX && arch_cputicks() - now < TICKS_APART; i++)
		arch_pause();
	pp->fight_ticks = arch_cputicks();
}
