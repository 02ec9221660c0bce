/* ending.c - the end of a process.
 *
 * Robust mutexes shared with other processes must be marked for every G that holds one (robust.c), and no G may lock or
 * unlock meanwhile. A tool that records a program wants its last events too, and what a profile has counted; after
 * exit_group there is nothing left to read. So the M that ends the process marks, and waits until the tool has read. The
 * others must not run on meanwhile: those that have a P are kicked, and stay in their signal handler; no other gets a P.
 * From then on no lock of the runtime may be taken, as one of them may hold it.
 *
 * PRELOOM=trace=FILE and the like are the same without such a tool: then the process runs it on itself (helper.c).
 *
 * The tool shows that it lives by a number that rises; so it may be in another pid namespace, and one that died costs a
 * second.
 */
#include "ending.h"
#include "helper.h"
#include "lockcheck.h"
#include "prof.h"
#include "runtime.h"
#include "tracebuf.h"

#define LOOK NSEC_PER_MSEC
#define PATIENCE NSEC_PER_SEC
#define HOLD_PATIENCE (20 * NSEC_PER_MSEC) /* for an M that does not come to its handler: it waits for a disk */

struct ending ending;
static struct m *_Atomic ender;
static _Atomic uint32_t nheld;
static struct {
	const char *const *words;
	int fd;
} jobs[ENDING_JOBS];
static uint32_t njobs;

bool ending_add(const char *const *words, int fd)
{
	if (njobs == ENDING_JOBS)
		return false;
	jobs[njobs].words = words;
	jobs[njobs++].fd = fd;
	return true;
}

bool ending_watched(void)
{
	return load_rlx(&ending.attended) || njobs || prof_exit_wanted();
}

static void run_jobs(void)
{
	for (uint32_t i = 0; i < njobs; i++) {
		int status = helper_run(jobs[i].words, jobs[i].fd);
		if (status != 0)
			rt_printf(rt_opt.logfd, "preloom: %s not written: preloom-inspect %s\n", jobs[i].words[0],
				  status == HELPER_NOT_FOUND ? "was not found" : "could not look at this process");
	}
}

void ending_hold(struct m *m)
{
	const struct m *e = load_acq(&ender);
	if (likely(!e) || e == m)
		return;
	store_rel(&m->held, 1);
	atomic_fetch_add(&nheld, 1);
	os_futex_wake(&nheld, 1);
	for (;;)
		os_usleep(NSEC_PER_SEC);
}

bool ending_begun(void)
{
	return load_acq(&ender) != NULL;
}

void ending_by_exec(void)
{
	store_rel(&ender, &m0);
}

/* Kicks every M that has a P, but the caller's; true if none runs any more. */
static bool all_held(const struct m *self)
{
	bool all = true;
	for (int i = 0; i < sched.nprocs; i++) {
		uint32_t s = load_acq(&allp[i].status);
		struct m *m = allp[i].m;
		if ((s != Prunning && s != Psyscall) || !m || m == self || load_acq(&m->held))
			continue;
		all = false;
		sig_kick(m);
	}
	return all;
}

/* With sched.lock nobody gets a P any more. It stays held; who ends the process by a fault may have had it already. */
static void hold_others(const struct m *self)
{
	int64_t begin = os_nanotime();
	while (!trylock(&sched.lock) && os_nanotime() - begin < HOLD_PATIENCE)
		os_osyield();
	for (;;) {
		uint32_t n = load_acq(&nheld);
		if (all_held(self) || os_nanotime() - begin > HOLD_PATIENCE)
			return;
		os_futex_sleep(&nheld, n, LOOK);
	}
}

static void wait_for_reader(void)
{
	uint32_t beat = load_acq(&ending.beat);
	int64_t heard = os_nanotime();
	while (!load_acq(&ending.done)) {
		uint32_t b = load_acq(&ending.beat);
		int64_t now = os_nanotime();
		if (b != beat) {
			beat = b;
			heard = now;
		} else if (now - heard > PATIENCE) {
			return;
		}
		os_usleep(LOOK);
	}
}

/* What tools are still to see. */
static void last_words(void)
{
	trace_stop();
	prof_finish();
	store_rel(&ending.ended, 1); /* release: the buffer is as it stays */
	if (load_rlx(&ending.attended))
		wait_for_reader();
	run_jobs();
	prof_exit();
}

void process_ending(void)
{
	struct m *nobody = NULL, *self = getm();
	if (!sched.active)
		return;
	if (unlikely(rt_opt.lockcheck))
		lockcheck_flush();
	if (!atomic_compare_exchange_strong(&ender, &nobody, self)) {
		ending_hold(self);
		return;
	}
	hold_others(self);
	if (unlikely(ending_watched()))
		last_words();
	robust_exit_all();
}

/* Nobody watches the child, and what was to be written is about its parent. */
void ending_after_fork(void)
{
	store_rlx(&ending.attended, 0);
	njobs = 0;
	store_rlx(&ender, NULL);
}
