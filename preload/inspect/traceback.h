/* traceback.h - prints captured G's as Go prints goroutines.
 */
#ifndef PRELOOM_TRACEBACK_H
#define PRELOOM_TRACEBACK_H

#include "reason.h"
#include "stacks.h"
#include <stdio.h>

struct traceback_options {
	bool stacks;
	bool system;	/* preloom's own frames and G's too */
	bool circles;	/* only G's that wait for each other in a circle */
	uint64_t only;	/* this G's only; 0: all */
	uint64_t first; /* this G comes first; 0: none */
	uintptr_t context; /* with first: it was interrupted here (struct kuc in the process); 0: as captured */
};

/* Prints all of them; k was made to use the capture. False: out of memory. */
bool traceback_print(FILE *f, const struct capture *c, struct stacks *k, struct symbols *sym, const struct traceback_options *o);

#endif
