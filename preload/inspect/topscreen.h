/* topscreen.h - `preload top` on a terminal.
 */
#ifndef PRELOOM_TOPSCREEN_H
#define PRELOOM_TOPSCREEN_H

#include "topdata.h"

/* Until a key ends it or the process does. False: the process is gone. *why: set if there is no screen to be had. */
bool top_screen(struct top *d, struct top_options *o, double delay, long times, const char **why);

#endif
