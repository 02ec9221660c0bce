/* profile.h - taking and rendering a profile; for the commands that have one.
 */
#ifndef PRELOOM_PROFILE_H
#define PRELOOM_PROFILE_H

#include "profdata.h"

enum profile_format { FormatPprof, FormatFolded, FormatSvg, FormatTop, NFormat };

/* A profile that this command started, or found running. */
struct profile_run {
	enum prof_type type;
	bool ours;
	struct profdata before;
};

/* rate 0: the default. False: a line has said why. `seconds`: the process ends the profile itself some time after that, should
 * this command be killed. */
bool profile_begin(const struct target *t, enum prof_type type, uint32_t rate, double seconds, struct profile_run *r);
/* False: the process is gone. */
bool profile_end(const struct target *t, struct profile_run *r, struct profdata *d);

#endif
