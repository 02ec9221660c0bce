/* ending.h - the end of a process that somebody looks at. */
#ifndef PRELOOM_ENDING_H
#define PRELOOM_ENDING_H

#include "base.h"

struct m;

/* A tool that reads until the end. It writes, except for `ended`. */
struct ending {
	_Atomic uint32_t attended; /* not 0: it wants to see the end */
	_Atomic uint32_t beat;	   /* rises while it is there */
	_Atomic uint32_t ended;	   /* the process: nothing is written any more */
	_Atomic uint32_t done;	   /* it has read all */
};
extern struct ending ending;

/* By whoever is about to end the process. Comes back at once unless somebody wants to see the end. */
void process_ending(void);
/* In the signal handler: while the process ends, other M's stay where they are. */
void ending_hold(const struct m *m);

#endif
