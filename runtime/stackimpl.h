/* stackimpl.h - what stack.c and stackguard.c share: regions and slots of the pool of stacks. */
#ifndef PRELOOM_STACKIMPL_H
#define PRELOOM_STACKIMPL_H

#include "runtime.h"

#define PAGE 4096UL
#define NONE UINT32_MAX

enum slotflag {
	Closed = 1,    /* mapped without access, not yet opened */
	OddGuard = 2,  /* has guards elsewhere than at its bottom */
	Protected = 4, /* mprotect was used */
	Fresh = 8,     /* never had a guard */
	Foreign = 16,  /* the program mapped something else over a part of it */
	Blank = 32,    /* free and warm, but zero: made ready ahead of need */
};

/* Belongs to whoever has the stack; while it is free, to the lock. */
struct slot {
	uint32_t next;	/* list of free slots */
	uint32_t guard; /* pages at the bottom that are a guard */
	uint32_t gone;	/* pages that were unmapped, while others are in use */
	uint32_t flags;
};

struct region {
	uintptr_t lo, hi;
	size_t size;	    /* bytes of a slot */
	uint32_t used;	    /* slots handed out at least once */
	uint32_t nslots;
	uint32_t cooling, warm, clean; /* free slots */
	uint32_t ahead;	    /* how many were last made ready at a time */
	uint32_t guard;	    /* pages of the guard that was last made first; for those to come */
	struct slot *slots;
};

struct freed {
	struct region *r;
	uint32_t i;
};

/* What the slot was that somebody takes. */
enum stage { Dirty, Warm, Clean, Untouched, Nothing };

#define KEEP (2 * PAGE) /* glibc's descriptor, thread-local storage, and the frames of a simple thread */

static inline uint32_t slot_of(const struct region *r, uintptr_t addr)
{
	return (uint32_t)((addr - r->lo) / r->size);
}

static inline uintptr_t slot_lo(const struct region *r, uint32_t i)
{
	return r->lo + (uintptr_t)i * r->size;
}

/* stack.c */
struct region *stack_region(uintptr_t addr);
uint32_t stack_take_ahead(struct region *r, uint32_t guard, uint32_t max, uint32_t *first); /* fresh slots, to be made ready */
void stack_give_ahead(struct region *r, uint32_t first, uint32_t n);
enum stage stack_take_cold_locked(size_t size, struct freed *f);
void stack_give_clean_locked(const struct freed *f);
void stack_give_warm_locked(const struct freed *f); /* counted by stack_keeps_warm_locked */
bool stack_keeps_warm_locked(uint32_t n);
void stack_touch_top(const struct freed *f); /* its memory is made now; who has it, or the lock */

/* stackahead.c */
void stack_count_cold_locked(size_t size, bool blank);

/* stackguard.c */
int guard_set(uintptr_t addr, size_t size);
int guard_resize(struct region *r, uint32_t i, size_t size);
bool slot_unprotect(struct region *r, uint32_t i);

#endif
