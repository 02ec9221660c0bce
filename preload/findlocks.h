/* findlocks.h - where libc's lock prefixes are, and whether they may go. See runtime/smplocks.c.
 */
#ifndef PRELOOM_FINDLOCKS_H
#define PRELOOM_FINDLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "sites.h"

/* The prefixes of o on pages that the jumps to its sites change anyway: v, n of them, by address, not written yet. Up to cap
 * addresses go to out; returns how many. */
size_t findlocks(const struct object *o, const struct site *v, size_t n, uintptr_t *out, size_t cap);

/* Is memory shared with another process, or may a mapping that is only read become so? Also true when it cannot be known.
 * The caller is the only thread. */
bool findlocks_shared_memory(void);

/* Could this site, which enters the kernel by itself, share memory with somebody unseen? */
bool findlocks_unseen(const struct site *s);

#endif
