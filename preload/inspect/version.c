/* version.c - `preloom version [PID]`: this command's version, or that of the library in a process.
 */
#include "command.h"
#include "target.h"
#include <stdio.h>

int cmd_version(int argc, char **argv)
{
	if (argc > 2)
		return fail_usage("%s: at most one process id (preloom help version)", argv[2]);
	if (argc < 2) {
		puts("preloom " PRELOOM_VERSION);
		return 0;
	}
	struct target *t = target_open_arg("version", argv[1]);
	if (!t)
		return EXIT_FAILED;
	printf("process %d runs on preloom %.*s\n", (int)t->pid, (int)sizeof(t->h.release), t->h.release);
	say_next("preloom dump %d", (int)t->pid);
	target_close(t);
	return 0;
}
