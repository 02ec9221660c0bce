/* main.c - preloom-inspect: the sub-commands that look at a process. The `preloom` command execs it, so that starting a
 * program does not pay for the libraries that are needed here.
 */
#include "command.h"
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "dump", cmd_dump, "print what every thread of a process does" },
};

static void usage(FILE *f)
{
	fputs("usage: preloom COMMAND [ARGUMENT ...]\n\n", f);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].what);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "preloom: %s: no such command (try --help)\n", argv[1]);
	return EXIT_USAGE;
}
