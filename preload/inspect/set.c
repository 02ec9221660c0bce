/* set.c - `preloom set gomaxprocs=N PID`: changes a running process.
 */
#include "command.h"
#include "control.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PROCS 1024

int cmd_set(int argc, char **argv)
{
	static const char key[] = "gomaxprocs=";
	int64_t n, before;
	char *end;
	if (argc != 3)
		return fail_usage("what to set and one process id are needed: preloom set gomaxprocs=N PID");
	if (strncmp(argv[1], key, sizeof(key) - 1))
		return fail_usage("%s: not known; what can be set is gomaxprocs=N", argv[1]);
	n = strtol(argv[1] + sizeof(key) - 1, &end, 10);
	if (*end || end == argv[1] + sizeof(key) - 1 || n < 1 || n > MAX_PROCS)
		return fail_usage("%s: not a number from 1 to %d", argv[1], MAX_PROCS);
	struct target *t = target_open_arg("set", argv[2]);
	if (!t)
		return EXIT_FAILED;
	bool ok = control_do(t, ControlGomaxprocs, &n, 1, NULL, &before);
	if (ok && before < 0)
		ok = !fail("process %d: %s", (int)t->pid, strerror((int)-before));
	if (ok) {
		printf("process %d: gomaxprocs %d, was %d\n", (int)t->pid, (int)n, (int)before);
		say_next("preloom top %d", (int)t->pid);
	}
	target_close(t);
	return ok ? 0 : EXIT_FAILED;
}
