/* stacks.h - the stacks of captured G's.
 */
#ifndef PRELOOM_STACKS_H
#define PRELOOM_STACKS_H

#include "capture.h"

#define STACK_DEPTH 512	      /* frames that are kept of a stack: the inner half and the outer half */
#define STACK_DEEPEST 1000000 /* frames that are looked at */

struct frame {
	uintptr_t pc;
	bool is_return; /* behind a call; else the instruction has not run */
	bool ours;	/* preloom's own code */
	bool handler;	/* a signal interrupted this frame */
};

struct stack {
	struct frame *f;
	size_t n;
	size_t left_out; /* frames between f[STACK_DEPTH / 2 - 1] and the next */
	bool cut;	 /* deeper than STACK_DEEPEST */
	const char *end; /* why there is no more; NULL: it is complete */
};

/* May serve one capture after the other of a process: what is known of its code is kept while the same objects are loaded. */
struct stacks;
struct stacks *stacks_open(void); /* NULL: out of memory */
void stacks_close(struct stacks *k);

/* The capture that is meant from now on; reads which objects are loaded. */
void stacks_use(struct stacks *k, const struct capture *c);

/* For capture_take, arg being the struct stacks: uses the capture, and walks the stacks of the G's that run, which may be in a
 * handler on a stack that is not copied. */
void stacks_early(struct capture *c, void *arg);

/* Of one G. *out lives until the next call. */
void stack_of(struct stacks *k, const struct snap_g *g, struct stack *out);
/* From a signal's context (struct kuc at this address in the process). */
void stack_of_context(struct stacks *k, uintptr_t kuc, struct stack *out);

#endif
