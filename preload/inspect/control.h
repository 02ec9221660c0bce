/* control.h - having a process do something: the tool's half of ../../runtime/control.h.
 */
#ifndef PRELOOM_INSPECT_CONTROL_H
#define PRELOOM_INSPECT_CONTROL_H

#include "../../runtime/control.h"
#include "target.h"

/* Waits for the answer, but not for ever. True: *result is what the process says (>= 0, or -errno). False: it could not be
 * asked or did not answer, and a line has said why. text may be NULL. */
bool control_do(const struct target *t, enum control_command command, const int64_t *arg, size_t nargs, const char *text,
		int64_t *result);

#endif
