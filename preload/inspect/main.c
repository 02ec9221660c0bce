/* main.c - preloom-inspect: the commands that look at a process. Started by `preloom`, which knows their names.
 */
#include "command.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INSIDE_SECONDS 30

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
} commands[] = {
#define X(name, arguments, text) { #name, cmd_##name, arguments },
	COMMANDS_INSPECT(X)
#undef X
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static size_t current;

static void say(const char *fmt, va_list args)
{
	fprintf(stderr, "preloom %s: ", commands[current].name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

int fail(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	return EXIT_FAILED;
}

int fail_usage(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
	return EXIT_USAGE;
}

void say_next(const char *fmt, ...)
{
	va_list args;
	if (!isatty(2))
		return;
	fflush(stdout);
	fputs("next: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

bool parse_number(const char *what, const char *text, double lo, double hi, double *n)
{
	char *end;
	errno = 0;
	double v = text && *text ? strtod(text, &end) : 0;
	if (text && *text && !*end && !errno && v >= lo && v <= hi) {
		*n = v;
		return true;
	}
	fail("%s %s: not a number from %g to %g", what, text ? text : "", lo, hi);
	return false;
}

/* The process waits for us, or dies with us: so not for ever. It has blocked all signals, and writes a byte when it has
 * permitted us to look. */
void begin_inside(void)
{
	char byte;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(INSIDE_SECONDS);
	if (read(0, &byte, 1) < 0)
		return;
}

int main(int argc, char **argv)
{
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	name = name ? name + 1 : argc > 0 ? argv[0] : "";
	if (!strcmp(name, PRELOOM_INSPECT) && argc > 1) {
		argc--;
		argv++;
		name = argv[0];
	}
	for (current = 0; current < NCOMMANDS; current++)
		if (!strcmp(name, commands[current].name))
			break;
	if (current == NCOMMANDS) {
		fprintf(stderr, "preloom: %s: not a command; preloom help lists them\n", name);
		return EXIT_USAGE;
	}
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			printf("usage: preloom %s %s\n", name, commands[current].arguments);
			return 0;
		}
	return commands[current].run(argc, argv);
}
