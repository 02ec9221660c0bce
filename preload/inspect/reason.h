/* reason.h - what a G does or waits for, in words: from its state, the functions on top of its stack, the memory of the lock.
 */
#ifndef PRELOOM_REASON_H
#define PRELOOM_REASON_H

#include "capture.h"
#include "stacks.h"
#include "symbols.h"

enum reason_kind {
	ReasonRunning,
	ReasonRunnable,
	ReasonSyscall,
	ReasonMutex,
	ReasonRead,  /* rwlock */
	ReasonWrite,
	ReasonCond,
	ReasonSem,
	ReasonBarrier,
	ReasonOnce,
	ReasonJoin,
	ReasonFutex,
	ReasonSleep,
	ReasonIO,
	ReasonPoll,
	ReasonSignal,
	ReasonOther,
};

struct reason {
	enum reason_kind kind;
	char state[96];	    /* as in brackets: "sync.Mutex wait" */
	char detail[320];   /* a line more, or empty */
	uintptr_t object;   /* the lock, or 0 */
	uint32_t owner_tid; /* who holds it as the lock says, 0: nobody or not told */
	const struct snap_g *owner; /* that thread, or whom it joins; NULL: unknown or gone */
};

void reason_of(const struct capture *c, struct symbols *sym, const struct snap_g *g, const struct stack *st,
	       struct reason *out);

/* "12 minutes", "3.2 s", "15 ms". */
void reason_time(int64_t ns, char *out, size_t n);
/* A variable's name for an address of data, with the address: "lock_a (0x404060)". */
void reason_place(struct symbols *sym, uintptr_t at, char *out, size_t n);

#endif
