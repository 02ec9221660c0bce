/* capture.h - all that a dump needs of a process, copied while it stood still.
 */
#ifndef PRELOOM_CAPTURE_H
#define PRELOOM_CAPTURE_H

#include "fds.h"
#include "snapshot.h"
#include "stop.h"

#define NEAR_BEFORE 48 /* bytes kept before and behind a word that is waited on: the lock that it is a part of */
#define NEAR_SIZE 128

struct stack;

struct captured {
	struct stack *early; /* walked while the process stood still; NULL: not */
	uintptr_t lo; /* of the stack's copy */
	size_t n;
	unsigned char *stack;
	bool has_regs; /* g.regs pointed to an entry frame: this is it */
	struct regs regs;
	bool has_near;
	unsigned char near[NEAR_SIZE]; /* from wait_addr - NEAR_BEFORE on */
};

struct capture {
	const struct target *t;
	struct snapshot s;
	struct captured *c; /* one for every s.g */
	struct stopped *threads;
	size_t nthreads;
	const bool *wanted;	/* one for every s.g: which ones; NULL: all */
	const char *not_stopped; /* why the process was not stopped; NULL: it was */
	int64_t stopped_ns;	 /* for how long */
	struct fds *fds;	 /* its descriptors, read when they are asked for */
};

/* False: the process is gone. `still`: stop it meanwhile. `early`, unless NULL: what else is to be done before it goes on. */
typedef void (*capture_early)(struct capture *c, void *arg);
bool capture_take(const struct target *t, bool still, capture_early early, void *arg, struct capture *c);
void capture_free(struct capture *c);

/* From a snapshot that was taken before and stays the caller's, of some G's, without stopping. */
bool capture_some(const struct target *t, const struct snapshot *s, const bool *wanted, struct capture *c);
void capture_release(struct capture *c);

static inline const struct captured *captured_of(const struct capture *c, const struct snap_g *g)
{
	return &c->c[g - c->s.g];
}

/* The registers of the kernel thread that runs it, if it is on one and that one stood still. */
const struct stopped *capture_thread_of(const struct capture *c, const struct g *g);

/* A word near wait_addr, as it was then; false: unknown. */
bool capture_near(const struct captured *c, int offset, void *to, size_t n);

#endif
