/* forward.h - signals that come to a recorder and are meant for the program that it runs.
 */
#ifndef PRELOOM_FORWARD_H
#define PRELOOM_FORWARD_H

#include <sys/types.h>

/* From now on SIGINT, SIGTERM and SIGHUP are counted, and handed on to the program that forward_fork made, if there is one. */
void forward_catch(void);
unsigned forward_count(void);

/* fork(2). The child has the dispositions that we were started with. */
pid_t forward_fork(void);

#endif
