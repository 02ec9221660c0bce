/* command.h - the commands of preloom-inspect, and what they share in talking to people.
 *
 * A command is a function cmd_NAME(argc, argv), argv[0] being its name; its result is the exit status. Its name stands in
 * COMMANDS_INSPECT of ../commands.h.
 */
#ifndef PRELOOM_COMMAND_H
#define PRELOOM_COMMAND_H

#include "../commands.h"
#include <stdbool.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define X(name, arguments, text) int cmd_##name(int argc, char **argv);
COMMANDS_INSPECT(X)
#undef X

/* One line on stderr, `preloom COMMAND: …`; the result is the exit status that goes with it. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int fail_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What to run next, a command's last line. Advice is for people: only when stderr is a terminal. */
void say_next(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A number in a command line; false, after a line that names it and the range, if it is none. `what` is as in "--seconds". */
bool parse_number(const char *what, const char *text, double lo, double hi, double *n);

/* First in a command that a process runs on itself (runtime/helper.c). */
void begin_inside(void);

#endif
