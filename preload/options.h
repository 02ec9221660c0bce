/* options.h - PRELOOM=key=value,… and GOMAXPROCS: one table of all options. */
#ifndef PRELOOM_OPTIONS_H
#define PRELOOM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* The table: name, kind, default, meaning. Kinds: FLAG (0 or 1, bare name means 1), NUMBER, FILE. */
#define OPTIONS(X)                                                                                                \
	X(off, FLAG, 0, 0, 1, "run the program on kernel threads, as if preloom were not there")                  \
	X(help, FLAG, 0, 0, 1, "print this list and exit")                                                        \
	X(sites, FLAG, 0, 0, 1, "list the rewritten system-call sites at activation")                             \
	X(schedtrace, NUMBER, 0, 0, 86400000, "print the scheduler's state every N ms, in Go's format")           \
	X(scheddetail, FLAG, 0, 0, 1, "with schedtrace: a line for every P, M and G")                             \
	X(chaos, NUMBER, 0, 0, INT64_MAX, "preempt at random, shuffle queues, change GOMAXPROCS, from this seed (for tests)")\
	X(maxthreads, NUMBER, 10000, 2, 1000000, "bound on kernel threads")                                       \
	X(keeplocks, FLAG, 0, 0, 1, "with one P in use: leave the lock prefixes in libc's text")                          \
	X(deadlock, FLAG, 1, 0, 1, "when every thread waits for ever: report it and exit with status 2")          \
	X(lockcheck, FLAG, 0, 0, 1, "report locks that are taken in different orders, and those held for long")    \
	X(lockheld, NUMBER, 1000, 0, 86400000, "with lockcheck: report locks held longer than N ms; 0: none")     \
	X(stats, FLAG, 0, 0, 1, "print the scheduler's counters at exit")                                         \
	X(trace, FILE, 0, 0, 0, "write a trace of the scheduler there at the end; %p: the process id")           \
	X(tracebuf, NUMBER, 32, 1, 1024, "megabytes of the newest events that a scheduler trace keeps")          \
	X(record, NUMBER, 0, 0, INT64_MAX, "used by preloom record: the process that reads")                      \
	X(cpuprofile, FILE, 0, 0, 0, "write a CPU profile there at exit (.pb.gz, .svg, .folded or .txt; %p: process id)") \
	X(blockprofile, FILE, 0, 0, 0, "the same of where threads wait")                                          \
	X(mutexprofile, FILE, 0, 0, 0, "of who makes others wait for a lock")                                     \
	X(threadprofile, FILE, 0, 0, 0, "of where threads are made, and how many live")                           \
	X(wallprofile, FILE, 0, 0, 0, "of what all threads do, whether they run or wait")                         \
	X(cpurate, NUMBER, 100, 1, 10000, "samples per second of CPU time")                                       \
	X(wallrate, NUMBER, 100, 1, 1000, "samples per second")                                                   \
	X(blockrate, NUMBER, 0, 0, 1000000000, "block and mutex profiles: waits shorter than N ns are sampled; 0: as many as cost about 1 %") \
	X(log, FILE, 0, 0, 0, "file for reports instead of stderr")

struct options {
#define X(name, kind, dflt, lo, hi, text) OPTION_FIELD_##kind(name)
#define OPTION_FIELD_FLAG(name) int64_t name;
#define OPTION_FIELD_NUMBER(name) int64_t name;
#define OPTION_FIELD_FILE(name) const char *name; unsigned name##_len;
	OPTIONS(X)
#undef X
};

extern struct options options;

/* Reads PRELOOM. With warn: one line on stderr for each key or value that is not understood. */
void options_read(bool warn);
void options_help(int fd);

/* GOMAXPROCS, or the CPUs in the affinity mask capped by the cgroup's CPU quota. One warning line for a bad value. */
int options_gomaxprocs(void);
int options_cpus(void); /* in the affinity mask */

#endif
