/* fake_os.h - a kernel for the unit tests: a clock that the test moves, and kernel threads that are coroutines.
 *
 * The runtime is linked to this instead of os_linux.c and the assembly, and mostly instead of the signal layer and
 * the netpoller (fake_sig.c, fake_net.c). Everything happens in one real thread, so every test is deterministic.
 *
 * An M is a coroutine that runs until it asks its kernel to wait: it sleeps on a note, polls, is in a blocking call, or
 * its G has nothing to do. Then the test goes on and decides which M runs next and what time it is. A G has a stack of
 * its own and does what fake_call tells it; what it does may park, and then its M runs other G's.
 *
 * The test itself is no M. Functions of the runtime that cannot park may be called directly; they take the test for
 * the M that fake_on named last, M 0 at first.
 */
#ifndef PRELOOM_FAKE_OS_H
#define PRELOOM_FAKE_OS_H

#include "runtime.h"
#include <setjmp.h>

#define FAKE_MS 64
#define FAKE_START_NS 1000000000LL

enum fake_state {
	MNew,	  /* os_newm was called, nothing ran yet */
	MUser,	  /* runs a G that computes; fake_call gives it something to do */
	MAsleep,  /* in os_futex_sleep or, with note == NULL, os_usleep */
	MPolling, /* in netpoll */
	MCall,	  /* in a blocking system call, until fake_return */
	MGone	  /* the kernel thread or the process ended */
};

struct fake_ctx {
	jmp_buf at;
	void (*entry)(void); /* first function, while it has not started */
	const void *lo;
	size_t size;
	void *asan;
};

struct fake_m {
	struct m *m;
	enum fake_state state;
	_Atomic uint32_t *note;
	int64_t until; /* < 0: for ever */
	bool woken;
	long nr, result;
	struct fake_ctx ctx;
};

struct fake {
	int64_t now;
	int64_t off_cpu; /* what each kernel thread was not on a CPU of it */
	struct fake_m ms[FAKE_MS]; /* in order of birth, M 0 first */
	int nms;
	struct fake_m *running; /* NULL: the test itself */
	uint32_t seed;		/* not 0: runnable M's are run in random order */

	int newm_error; /* what os_newm returns instead of making an M */
	int wakes;	/* calls of os_futex_wake */

	char text[16384]; /* what was written to any descriptor */
	size_t text_len;
	bool exits, throws; /* expected: it stops the M instead of failing the test */
	bool exited, thrown;
	int exit_status;

	struct gqueue net; /* claimed G's whose event netpoll has not fetched yet */
	bool net_waiting;  /* what netpoll_waiters says */
	bool net_broken;
	int net_polls, net_breaks;
	int64_t net_delay; /* of the last poll */

	int kicks;
	int ended_waits;
	int looks; /* kicks that ask whether the G spins */
	struct m *kicked;
	int ticks;

	bool no_ranges; /* the kernel has no process_madvise for oneself */
	bool no_populate; /* nor MADV_POPULATE_WRITE */
	int guard_error; /* what MADV_GUARD_INSTALL returns */
	bool locked;	 /* memory is: MADV_DONTNEED is refused */
	bool locked_stays; /* and so is MADV_DONTNEED_LOCKED, before Linux 5.18 */
	int madvises[256], mprotects;
	bool mprotect_fails, poke_works;
	uintptr_t guard_lo, guard_hi; /* of the last guard, by either way */
};
extern struct fake fake;

/* M 0 with P 0 runs the main G; no other M exists. */
void fake_start(int gomaxprocs);

/* g, which computes on some M, calls fn(arg). True if fn came back, false if g parked or its M waits on the way. */
bool fake_call(struct g *g, void (*fn)(void *), void *arg);
/* What g does when it is first run. */
void fake_first(struct g *g, void (*fn)(void *), void *arg);

bool fake_step(struct fake_m *fm); /* runs one M until it waits; false if its wait is not over */
void fake_settle(void);		   /* runs M's until all of them wait */
void fake_until(int64_t t);	   /* the same, while the clock goes on to t */
void fake_return(struct fake_m *fm, long result); /* ends its blocking call */
struct fake_m *fake_of(const struct m *m);
void fake_on(struct fake_m *fm); /* direct calls are this M's from now on; NULL: of a thread without an M */

/* fn(arg) must throw: what the runtime printed. NULL if it came back. */
const char *fake_throw(void (*fn)(void *), void *arg);

/* For the parts of the fake: the running M waits in state s until the test lets it go on. */
void fake_suspend(enum fake_state s);

#endif
