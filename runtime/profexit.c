/* profexit.c - profiles that are written when the process ends: by the command, run on the process itself (helper.c).
 *
 * The files are opened when the profiles start: later the program may have changed its folder, its root or its user.
 */
#include "prof.h"
#include "helper.h"
#include "runtime.h"

static struct {
	int fd; /* 1 + it; 0: none */
	const char *format;
} out[NProf];

static const char *const type_names[NProf] = { "cpu", "block", "mutex", "threads", "wall" };

void prof_write_at_exit(enum prof_type t, int fd, const char *format)
{
	out[t].fd = fd + 1;
	out[t].format = format;
}

bool prof_exit_wanted(void)
{
	bool any = false;
	for (int t = 0; t < NProf; t++)
		any |= out[t].fd != 0;
	return any;
}

void prof_exit(void)
{
	for (int t = 0; t < NProf; t++) {
		if (!out[t].fd)
			continue;
		const char *const words[] = { "profile", "--at-exit", "--type", type_names[t], "--format", out[t].format, NULL };
		int status = helper_run(words, out[t].fd - 1);
		if (status != 0)
			rt_printf(rt_opt.logfd, "preloom: %s profile not written: preloom-inspect %s\n", type_names[t],
				  status == HELPER_NOT_FOUND ? "was not found" : "could not look at this process");
	}
}

void prof_exit_after_fork(void)
{
	for (int t = 0; t < NProf; t++)
		out[t].fd = 0;
}
