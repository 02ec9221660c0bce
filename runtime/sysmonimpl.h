/* sysmonimpl.h - what sysmon.c, when to look, and retake.c, what to do about each P, share. */
#ifndef PRELOOM_SYSMONIMPL_H
#define PRELOOM_SYSMONIMPL_H

#include "runtime.h"

#define MIN_DELAY (20 * NSEC_PER_USEC) /* between two looks */
#define MAX_DELAY (10 * NSEC_PER_MSEC)
#define SLICE (10 * NSEC_PER_MSEC)
#define WAKE_SLICE (2 * NSEC_PER_MSEC) /* the least a G gets before one that was woken, or whose sleep is over, takes its place */

bool sysmon_retake(int64_t now);
bool sysmon_woken_waits(void);
int64_t sysmon_spinning_until(void); /* until then it is worth looking often */

#endif
