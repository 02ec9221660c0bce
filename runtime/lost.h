/* lost.h - kernel threads that the kernel ended of its own. From sysmon.
 */
#ifndef PRELOOM_LOST_H
#define PRELOOM_LOST_H

#include "gmp.h"

#define LOST_AGAIN (100 * NSEC_PER_MSEC)

bool lost_look(int64_t now, bool at_once);

#endif
