/* stackahead.c - stacks made ready by an M without work while another one makes threads.
 *
 * Most of what a new thread costs its maker is the kernel's: a guard, two pages of memory, and the page of the page table that
 * a stack has for itself. While a burst of threads is made, that is, while stacks are taken that have no memory, an
 * M that looks for work does all that in advance, for one stack between two looks. The maker then finds it among the warm ones,
 * with nothing to zero (Blank): 10,000 threads alive at once on two CPUs took 5.2 µs each, 3.3 now.
 *
 * How many lie ready is bounded, and by a fraction of what the burst has taken so far: who makes a few threads has no
 * more memory in use than before. A burst is over when no such stack was taken for GAP. What it did not take is warm as
 * others are, and the next to be taken.
 * The lock is not held while a stack is made ready: in the child of a fork that comes between, that one is lost.
 */
#include "stackimpl.h"

#define GAP (100 * NSEC_PER_USEC)
#define READY_MAX 32
#define TAKEN_PER_READY 8

/* With the pool's lock. */
static struct {
	size_t size;
	int64_t last; /* when one was taken */
	uint32_t taken;
	uint32_t ready; /* of them, not taken; also the ones being made so */
} burst;

/* Apart from all else: those that look for work read it all the time. Only a hint. */
static _Atomic bool wanted __attribute__((aligned(64)));

static bool wants_locked(void)
{
	uint32_t n = burst.taken / TAKEN_PER_READY;
	return burst.ready < (n < READY_MAX ? n : READY_MAX);
}

static void set_wanted_locked(bool yes)
{
	if (load_rlx(&wanted) != yes)
		store_rlx(&wanted, yes);
}

/* Somebody takes a stack that had no memory, or that has it from here. */
void stack_count_cold_locked(size_t size, bool blank)
{
	int64_t now = os_nanotime();
	if (burst.size != size || now - burst.last > GAP)
		burst.taken = burst.ready = 0;
	burst.size = size;
	burst.last = now;
	burst.taken++;
	burst.ready -= blank && burst.ready;
	set_wanted_locked(wants_locked());
}

bool stack_ahead_wanted(void)
{
	return load_rlx(&wanted);
}

/* *guard: how many pages of it are one, or are to be. They may be nearly all of it. */
static enum stage take_locked(struct freed *f, size_t *guard)
{
	if (!wants_locked() || os_nanotime() - burst.last > GAP)
		return Nothing;
	enum stage stage = stack_take_cold_locked(burst.size, f);
	if (stage == Nothing)
		return Nothing;
	*guard = stage == Untouched ? f->r->guard : f->r->slots[f->i].guard;
	if (*guard * PAGE + KEEP <= f->r->size && stack_keeps_warm_locked(1))
		return stage;
	stack_give_clean_locked(f);
	return Nothing;
}

/* From an M that has a P and looks for work. Makes one stack ready, or none: false. */
bool stack_make_ahead(void)
{
	struct freed f;
	size_t guard;
	stack_lock();
	enum stage stage = take_locked(&f, &guard);
	burst.ready += stage != Nothing;
	set_wanted_locked(stage != Nothing && wants_locked());
	stack_unlock();
	if (stage == Nothing)
		return false;
	struct slot *s = &f.r->slots[f.i];
	if (stage == Untouched) {
		s->flags = Fresh;
		guard_resize(f.r, f.i, guard * PAGE); /* if that fails it has none: who takes it tries again */
	}
	stack_touch_top(&f);
	s->flags = Blank;
	stack_lock();
	stack_give_warm_locked(&f);
	stack_unlock();
	return true;
}
