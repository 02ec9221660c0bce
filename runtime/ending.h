/* ending.h - the end of a process. */
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

/* At activation: a command to be run on this process at its end, with fd as its output. Its words, NULL behind the last, stay
 * where they are. */
#define ENDING_JOBS 8
bool ending_add(const char *const *words, int fd);
bool ending_watched(void); /* somebody does, or there is a command; after a change call sig_ending_changed */

/* By whoever is about to end the process, with no lock but siglock; then nothing else runs. */
void process_ending(void);
bool ending_begun(void);
void ending_by_exec(void); /* by who has the memory now: nothing else runs any more */
void ending_after_fork(void);
/* In the signal handler: while the process ends, other M's stay where they are. */
void ending_hold(struct m *m);

#endif
