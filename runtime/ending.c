/* ending.c - the end of a process that somebody looks at.
 *
 * A tool that records a program wants its last events too, and what a profile has counted; after exit_group there is
 * nothing left to read. So the M that ends the process waits until the tool has read. The others must not run on
 * meanwhile: after exit() the program's global objects are destroyed. They are kicked, and stay in their signal handler.
 * From then on no lock of the runtime may be taken, as one of them may hold it.
 *
 * The tool shows that it lives by a number that rises; so it may be in another pid namespace, and one that died costs a
 * second.
 */
#include "ending.h"
#include "prof.h"
#include "runtime.h"
#include "tracebuf.h"

#define LOOK NSEC_PER_MSEC
#define PATIENCE NSEC_PER_SEC

struct ending ending;
static const struct m *_Atomic ender;

void ending_hold(const struct m *m)
{
	const struct m *e = load_acq(&ender);
	if (likely(!e) || e == m)
		return;
	for (;;)
		os_usleep(NSEC_PER_SEC);
}

static void hold_others(struct m *self)
{
	lock(&sched.lock);
	for (struct m *m = sched.allm; m; m = m->alllink)
		if (m != self)
			sig_kick(m);
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
	if (likely(!load_rlx(&ending.attended)))
		return;
	if (!atomic_compare_exchange_strong(&ender, &nobody, self)) {
		ending_hold(self);
		return;
	}
	hold_others(self);
	trace_stop();
	prof_finish();
	store_rel(&ending.ended, 1); /* release: the buffer is as it stays */
	wait_for_reader();
}
