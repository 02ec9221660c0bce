/* commands.h - the one list of what `preloom` understands as its first word.
 *
 * The launcher does COMMANDS_HERE itself; for the others it becomes preloom-inspect, so that starting a program does not
 * pay for the libraries that the tools need. A row of COMMANDS_INSPECT is served by a function cmd_NAME in
 * preload/inspect/. Help, the manual page and the completion are made from this list or checked against it.
 */
#ifndef PRELOOM_COMMANDS_H
#define PRELOOM_COMMANDS_H

#define PRELOOM_INSPECT "preloom-inspect"

/* X(name, arguments, what it does) */
#define COMMANDS_HERE(X)                                                                                             \
	X(run, "[-p N] [-o OPTIONS] [--] PROGRAM [ARGUMENT ...]", "run a program with its threads as user-level threads") \
	X(help, "[COMMAND]", "say how a command is used")

#define COMMANDS_INSPECT(X)                                                   \
	X(dump, "[--goroutine N] [--no-stacks] [--no-stop] [--repeat N] [--system] [--times] PID", "print what every thread of a process does") \
	X(profile, "[--type cpu|block|mutex|threads|wall] [--seconds N] [--rate N] [--format pprof|folded|svg|top] [--per-thread] [-o FILE] PID", \
	  "find out what a process spends its time on, or waits for")                  \
	X(set, "gomaxprocs=N PID", "change how many kernel threads run a process's threads, 1 to 1024") \
	X(top, "[--batch] [-n TIMES] [-d SECONDS] [-s KEY] [-r] [-f TEXT] [-l ROWS] [-m] PID", "watch what the threads of a process do") \
	X(trace, "[--seconds N] [-o FILE.json] [--size MB] [--buffer MB] PID", "record what the scheduler does, for Perfetto or chrome://tracing") \
	X(record, "[-o FILE.html] [--seconds N] [--buffer MB] PID | [--] PROGRAM [ARGUMENT ...]", "run a program or watch a process, and report what its threads did") \
	X(version, "[PID]", "say which version this is, or which one a process runs")

#endif
