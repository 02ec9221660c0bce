/* smplocks.h - libc's lock prefixes, taken out while there is one P.
 */
#ifndef PRELOOM_SMPLOCKS_H
#define PRELOOM_SMPLOCKS_H

#include "base.h"

/* At activation, single-threaded: where the prefixes are, n of them, in the text lo to hi (pages) with that protection.
 * `at` is kept. */
void smplocks_init(const uintptr_t *at, size_t n, uintptr_t lo, uintptr_t hi, int prot);

/* The number of P's has changed. Until it is done no P runs the program, or the one that does is the caller's. */
void smplocks_follow(void);

/* From a P's holder: memory is about to be shared with somebody who takes no part in the scheduler, or text can be written no
 * more. The prefixes are put back for good. */
void smplocks_keep(const char *why);

void smplocks_after_fork(void);

bool smplocks_is_libc(uintptr_t ip);

/* For the counters: how many are out; why they are kept, or NULL. */
size_t smplocks_out(const char **why);

#endif
