/* cycle.h - who waits for whom, and the circles in that.
 */
#ifndef PRELOOM_CYCLE_H
#define PRELOOM_CYCLE_H

#include "reason.h"
#include <stdio.h>

/* reasons[i] belongs to c->s.g[i]. Prints each circle of threads that wait for each other; returns how many there are.
 * member[i] becomes true for those in one. */
size_t cycles_print(FILE *f, const struct capture *c, struct symbols *sym, const struct reason *reasons, bool *member);

#endif
