/* launcher.c - the `preloom` command: runs a program with libpreloom.so preloaded, or becomes preloom-inspect.
 *
 * It looks the program up as execvp would, checks whether preloading can work (obstacle.c), puts the library in front of
 * LD_PRELOAD and execs: pid, exit status and signals are the program's. A program that cannot be served is named in one
 * line and runs as it is. A first word that is a command of commands.h means that command; a program of that name is run
 * by `preloom run NAME` or `preloom -- NAME`.
 */
#include "commands.h"
#include "obstacle.h"
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PRELOOM_VERSION
#define PRELOOM_VERSION "0.1.0"
#endif

#define MAX_PROCS 1024
#define EXIT_USAGE 2
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

static const char usage[] =
	"usage: preloom [run] [-p N] [-o OPTIONS] [--] PROGRAM [ARGUMENT ...]\n"
	"       preloom COMMAND [ARGUMENT ...]\n"
	"\n"
	"Runs PROGRAM with its threads as user-level threads on N kernel threads, or looks at a process that was run so.\n"
	"\n"
	"  -p N        sets GOMAXPROCS, 1 to 1024 (default: the CPUs that may be used)\n"
	"  -o OPTIONS  adds to the variable PRELOOM: key=value,... (help lists them)\n"
	"  --help      prints this\n"
	"  --version   prints the version\n"
	"\n"
	"commands:\n";

struct command {
	const char *name, *arguments, *text;
};

static const struct command commands[] = {
#define X(name, arguments, text) {#name, arguments, text},
	COMMANDS_HERE(X) COMMANDS_INSPECT(X)
#undef X
};
#define NCOMMANDS (sizeof commands / sizeof *commands)

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_usage(void)
{
	fputs(usage, stdout);
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-8s  %s\n", commands[i].name, commands[i].text);
	puts("\n`preloom help COMMAND` says more about one; `preloom -- NAME` runs a program of a command's name.");
}

static int help(const char *name)
{
	const struct command *c = name ? find_command(name) : NULL;

	if (!name) {
		print_usage();
		return 0;
	}
	if (!c) {
		fprintf(stderr, "preloom: help %s: not a command (preloom help lists them)\n", name);
		return EXIT_USAGE;
	}
	printf("usage: preloom %s %s\n\n%c%s.\n", c->name, c->arguments, c->text[0] - 'a' + 'A', c->text + 1);
	return 0;
}

/* As execvp: a slash means a path; else the first executable in PATH. Returns 0 or the error to report. */
static int resolve(const char *program, char *path)
{
	const char *dirs = getenv("PATH");
	int err = ENOENT;
	struct stat st;

	if (!*program)
		return ENOENT;
	if (strchr(program, '/')) {
		if (snprintf(path, PATH_MAX, "%s", program) >= PATH_MAX)
			return ENAMETOOLONG;
		if (stat(path, &st) != 0)
			return errno;
		return S_ISDIR(st.st_mode) ? EISDIR : access(path, X_OK) == 0 ? 0 : EACCES;
	}
	for (const char *d = dirs ? dirs : "/bin:/usr/bin"; d;) {
		size_t n = strcspn(d, ":");

		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)n, d, n ? "/" : "", program) < PATH_MAX && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode)) {
			if (access(path, X_OK) == 0)
				return 0;
			err = EACCES;
		}
		d = d[n] ? d + n + 1 : NULL;
	}
	return err;
}

/* By AT_EXECFN where /proc is not mounted. */
static bool own_path(char self[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", self, PATH_MAX - 1);
	const char *name = (const char *)getauxval(AT_EXECFN);

	if (len <= 0)
		return name && realpath(name, self);
	self[len] = '\0';
	return true;
}

/* A file of ours in one of `places`, relative to the launcher: the build tree or an installation. */
static bool find_beside(const char *name, const char *const *places, size_t n, char *found)
{
	char self[PATH_MAX], candidate[PATH_MAX + 64];
	char *slash;

	if (!own_path(self) || !(slash = strrchr(self, '/')))
		return false;
	slash[1] = '\0';
	for (size_t i = 0; i < n; i++) {
		snprintf(candidate, sizeof candidate, "%s%s%s", self, places[i], name);
		if (access(candidate, R_OK) == 0)
			return realpath(candidate, found) != NULL;
	}
	return false;
}

static bool find_library(char *lib)
{
	static const char *const places[] = {"", "../", "../lib/", "../lib/preloom/", "../lib/x86_64-linux-gnu/",
					     "../lib/x86_64-linux-gnu/preloom/", "../lib64/"};

	return find_beside("libpreloom.so", places, sizeof places / sizeof *places, lib);
}

/* Does what the first word asks for, by becoming the program that can. */
static int run_command(const struct command *c, char **argv)
{
	static const char *const places[] = {"", "../libexec/preloom/", "../lib/preloom/", "../lib/x86_64-linux-gnu/preloom/"};
	char path[PATH_MAX];

	if (!strcmp(c->name, "help"))
		return help(argv[1]);
	if (!find_beside(PRELOOM_INSPECT, places, sizeof places / sizeof *places, path)) {
		fprintf(stderr, "preloom: %s: " PRELOOM_INSPECT " not found beside the launcher or in ../libexec/preloom\n", c->name);
		return EXIT_CANNOT_RUN;
	}
	execv(path, argv);
	fprintf(stderr, "preloom: %s: %s\n", path, strerror(errno));
	return EXIT_CANNOT_RUN;
}

/* Sets name to value, or to value, separator and what it was before. */
static void put_in_front(const char *name, const char *value, char separator)
{
	const char *old = getenv(name);
	char *joined;

	if (!old || !*old) {
		setenv(name, value, 1);
		return;
	}
	if (asprintf(&joined, "%s%c%s", value, separator, old) < 0)
		exit(EXIT_CANNOT_RUN);
	setenv(name, joined, 1);
	free(joined);
}

/* Later options win, so -o goes behind what the variable says. */
static void add_options(const char *options)
{
	const char *old = getenv("PRELOOM");
	char *joined;

	if (!old || !*old) {
		setenv("PRELOOM", options, 1);
		return;
	}
	if (asprintf(&joined, "%s,%s", old, options) < 0)
		exit(EXIT_CANNOT_RUN);
	setenv("PRELOOM", joined, 1);
	free(joined);
}

static bool set_procs(const char *arg)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (errno || end == arg || *end || n < 1 || n > MAX_PROCS || arg[0] < '0' || arg[0] > '9') {
		fprintf(stderr, "preloom: -p %s: not a number from 1 to %d\n", arg, MAX_PROCS);
		return false;
	}
	setenv("GOMAXPROCS", arg, 1);
	return true;
}

/* Returns the index of the program, or exits. */
static int parse(int argc, char **argv)
{
	int i = argc > 1 && !strcmp(argv[1], "run") ? 2 : 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *value = NULL;
		char letter = argv[i][1];

		if (!strcmp(argv[i], "--"))
			return i + 1;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_usage();
			exit(0);
		}
		if (!strcmp(argv[i], "--version")) {
			puts("preloom " PRELOOM_VERSION);
			exit(0);
		}
		if (letter == 'p' || letter == 'o')
			value = argv[i][2] ? argv[i] + 2 : i + 1 < argc ? argv[++i] : NULL;
		if (!value) {
			if (letter == 'p' || letter == 'o')
				fprintf(stderr, "preloom: -%c: value missing\n", letter);
			else
				fprintf(stderr, "preloom: %s: unknown option (try --help)\n", argv[i]);
			exit(EXIT_USAGE);
		}
		if (letter == 'o')
			add_options(value);
		else if (!set_procs(value))
			exit(EXIT_USAGE);
	}
	return i;
}

int main(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find_command(argv[1]) : NULL;
	char path[PATH_MAX], lib[PATH_MAX];
	const char *program, *why;
	int first, err;

	if (c && strcmp(c->name, "run"))
		return run_command(c, argv + 1);
	first = parse(argc, argv);
	program = argv[first];
	if (first >= argc) {
		fputs("preloom: no program given (try --help)\n", stderr);
		return EXIT_USAGE;
	}
	err = resolve(program, path);
	if (err) {
		fprintf(stderr, "preloom: %s: %s\n", program, err == ENOENT ? "not found" : strerror(err));
		return err == ENOENT || err == ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	}
	why = find_obstacle(path);
	if (why)
		fprintf(stderr, "preloom: %s: %s; running it on kernel threads\n", program, why);
	else if (!find_library(lib))
		fprintf(stderr, "preloom: libpreloom.so not found beside the launcher; running %s on kernel threads\n", program);
	else
		put_in_front("LD_PRELOAD", lib, ':');
	if (is_elf(path))
		execv(path, argv + first);
	else
		execvp(program, argv + first); /* has the shell run a script without #! */
	err = errno;
	fprintf(stderr, "preloom: %s: %s\n", program, err == ENOENT ? "its interpreter was not found" : strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
