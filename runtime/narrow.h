/* narrow.h - one P where one is all that is used. From sysmon.
 */
#ifndef PRELOOM_NARROW_H
#define PRELOOM_NARROW_H

#include "base.h"

bool narrow_tick(bool often, int64_t now); /* true: a change is under way, look again soon */
bool narrow_end(int64_t now);		   /* all P's are to be in use; true when they are */
void narrow_after_fork(void);

#endif
