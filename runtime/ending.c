/* ending.c - the end of a process that somebody looks at.
 *
 * A tool that records a program wants its last events too, and what a profile has counted; after exit_group there is
 * nothing left to read. So the M that ends the process waits until the tool has read. The others must not run on
 * meanwhile: after exit() the program's global objects are destroyed. They are kicked, and stay in their signal handler.
 * From then on no lock of the runtime may be taken, as one of them may hold it.
 *
 * PRELOOM=trace=FILE and the like are the same without such a tool: then the process runs it on itself (helper.c).
 *
 * The tool shows that it lives by a number that rises; so it may be in another pid namespace, and one that died costs a
 * second.
 */
#include "ending.h"
#include "helper.h"
#include "prof.h"
#include "runtime.h"
#include "tracebuf.h"

#define LOOK NSEC_PER_MSEC
#define PATIENCE NSEC_PER_SEC
#define LOCK_TRIES 1000

struct ending ending;
static const struct m *_Atomic ender;
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

void ending_hold(const struct m *m)
{
	const struct m *e = load_acq(&ender);
	if (likely(!e) || e == m)
		return;
	for (;;)
		os_usleep(NSEC_PER_SEC);
}

/* Who ends the process by a fault may do so with the lock held. */
static bool lock_if_possible(void)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (trylock(&sched.lock))
			return true;
		os_usleep(10 * NSEC_PER_USEC);
	}
	return false;
}

static void hold_others(struct m *self)
{
	bool locked = lock_if_possible();
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (m != self)
			sig_kick(m);
	if (locked)
		unlock(&sched.lock);
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

void process_ending(void)
{
	const struct m *nobody = NULL;
	struct m *self = getm();
	if (likely(!ending_watched()))
		return;
	if (!atomic_compare_exchange_strong(&ender, &nobody, self)) {
		ending_hold(self);
		return;
	}
	hold_others(self);
	trace_stop();
	prof_finish();
	store_rel(&ending.ended, 1); /* release: the buffer is as it stays */
	if (load_rlx(&ending.attended))
		wait_for_reader();
	run_jobs();
	prof_exit();
}

/* Nobody watches the child, and what was to be written is about its parent. */
void ending_after_fork(void)
{
	store_rlx(&ending.attended, 0);
	njobs = 0;
}
