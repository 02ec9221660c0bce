/* site.h - decides whether and how one system call can be replaced.
 */
#ifndef PRELOOM_SITE_H
#define PRELOOM_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../object.h"

#define JUMP_SIZE 5
#define PRE_MAX 8	   /* instructions before the syscall that are looked at */
#define PRE_BYTES_MAX 40
#define POST_BYTES_MAX 24

/* What all sites of one text segment share. */
struct scope {
	const struct object *o;
	const struct segment *text;
	const uintptr_t *sites; /* the addresses that scan_syscalls found */
	size_t nsites;
	uintptr_t *far; /* sorted targets of jumps with a 32-bit displacement; found when first asked for */
	size_t nfar, cap;
	bool far_known;
	bool (*served)(unsigned nr);
};

struct plan {
	uintptr_t addr;
	uintptr_t span, post_end; /* displaced: [span, addr), the syscall and [addr + 2, post_end) */
	int nr;			  /* -1: not constant */
	uint8_t state, reason;	  /* enum site_state, site_reason */
};

/* Cheap look at the bytes alone: false for the sites that are certainly not needed (and *nr says why). */
bool site_is_candidate(uintptr_t text_lo, uintptr_t addr, bool (*served)(unsigned nr), int *nr);

/* Plans the site at addr; nothing before `floor` may be displaced (the site before needs it). False: the two bytes
 * are no instruction. */
bool site_plan(struct scope *s, uintptr_t addr, uintptr_t floor, struct plan *p);

#endif
