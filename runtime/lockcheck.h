/* lockcheck.h - PRELOOM=lockcheck=1: the order in which locks are taken, and for how long they are held. See lockcheck.c.
 */
#ifndef PRELOOM_LOCKCHECK_H
#define PRELOOM_LOCKCHECK_H

#include "base.h"

#define LOCKCHECK_DEPTH 24 /* frames of a stack that are kept */
#define LOCKCHECK_STEPS 8  /* locks in a circle that is reported */

struct lockcheck_stack {
	uint32_t n;
	uintptr_t pc[LOCKCHECK_DEPTH]; /* as by unwind_pc */
};

/* A thread took `held` at `took`, and at `wants` it asked for `wanted`. */
struct lockcheck_step {
	uintptr_t held, wanted;
	uint64_t goid;
	uint32_t tid;
	char name[16];
	struct lockcheck_stack took, wants;
};

/* The command reads these from outside. */
struct lockcheck_report {
	_Atomic uint32_t state; /* free, being written, ready */
	uint32_t nstep;		/* 0: a lock was held too long: step[0] has it, `wants` is where it was released */
	int64_t held_ns;
	struct lockcheck_step step[LOCKCHECK_STEPS]; /* the first one is what just happened; each holds what the one before wants */
};

/* On the program's thread: before it waits for a lock, when it has it, before it releases it. */
void lockcheck_wants(uintptr_t lock);
void lockcheck_took(uintptr_t lock);
void lockcheck_releases(uintptr_t lock);
void lockcheck_forgets(uintptr_t which); /* it is destroyed */

void lockcheck_tick(void);  /* sysmon: starts what prints reports */
void lockcheck_flush(void); /* before the end of the process: prints what is left */
void lockcheck_after_fork(void);

#endif
