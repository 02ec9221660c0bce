/* circle.h - partial deadlocks: see circle.c. Called by sysmon.
 */
#ifndef PRELOOM_CIRCLE_H
#define PRELOOM_CIRCLE_H

#include "base.h"

int64_t circle_next(void); /* when to call circle_tick */
void circle_tick(int64_t now);
bool circle_settled(uint64_t nswitch); /* all P's are idle, after so many switches: will no look find more than the last ones? */
void circle_after_fork(void);

#endif
