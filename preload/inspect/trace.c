/* trace.c - `preloom trace`: what the scheduler did for a span of time, as a file for Perfetto or chrome://tracing.
 *
 * Events go straight from the process's ring to the file, so neither side needs memory for the span. `--at-exit` is what a
 * process with PRELOOM=trace=FILE runs on itself when it ends: then what its ring still holds is all there is.
 */
#include "command.h"
#include "tracejson.h"
#include "watch.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_EVERY_MS 10
#define MB (1024.0 * 1024.0)

struct args {
	double seconds, size_mb, buffer_mb;
	const char *file, *pid;
	bool at_exit;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static bool parse(int argc, char **argv, struct args *a)
{
	*a = (struct args){ .seconds = 1, .size_mb = 256, .buffer_mb = 32, .file = "trace.json" };
	for (int i = 1; i < argc; i++) {
		const char *o = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(o, "--at-exit")) {
			a->at_exit = true;
			continue;
		}
		if (o[0] != '-') {
			if (a->pid)
				return fail_usage("%s: one process only (preloom help trace)", o), false;
			a->pid = o;
			continue;
		}
		if (!strcmp(o, "-o"))
			a->file = value;
		else if (!strcmp(o, "--seconds") || !strcmp(o, "-s")) {
			if (!parse_number(o, value, 0.01, 86400, &a->seconds))
				return false;
		} else if (!strcmp(o, "--size")) {
			if (!parse_number(o, value, 1, 65536, &a->size_mb))
				return false;
		} else if (!strcmp(o, "--buffer")) {
			if (!parse_number(o, value, 1, 1024, &a->buffer_mb))
				return false;
		} else
			return fail_usage("%s: unknown option (preloom help trace)", o), false;
		if (!value)
			return fail_usage("%s: value missing", o), false;
		i++;
	}
	if (!a->pid)
		return fail_usage("a process id is needed (preloom help trace)"), false;
	return true;
}

static void read_until(struct watch *w, double seconds)
{
	double end = watch_seconds() + seconds;
	struct sigaction sa = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND }, old;
	sigaction(SIGINT, &sa, &old);
	while (!interrupted && !w->ended && !w->gone && watch_seconds() < end) {
		nanosleep(&(struct timespec){ 0, READ_EVERY_MS * 1000000L }, NULL);
		watch_read(w, false);
	}
	sigaction(SIGINT, &old, NULL);
}

static void program_name(pid_t pid, char *buf, size_t n)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/comm", (int)pid);
	FILE *f = fopen(name, "re");
	buf[0] = 0;
	if (f && fgets(buf, (int)n, f))
		buf[strcspn(buf, "\n")] = 0;
	if (f)
		fclose(f);
}

static int report(const struct watch *w, const struct args *a, const struct tracejson *j)
{
	const struct trace_sums *s = tracemodel_sums(w->tm);
	double span = (double)(s->last_ticks - s->first_ticks) * w->ns_per_tick / 1e9;
	if (a->at_exit) { /* in a program's own run, only what is wrong */
		if (w->lost)
			fprintf(stderr, "preloom: trace: %lu events are lost: it keeps the newest PRELOOM=tracebuf=N megabytes\n",
				(unsigned long)w->lost);
		return 0;
	}
	printf("%s: %lu events of %zu goroutines on %d P's in %.3f s\n", a->file, (unsigned long)s->events,
	       tracemodel_count(w->tm), s->max_p + 1, span);
	if (w->lost)
		printf("%lu events are lost: the program was faster than the reader; a larger --buffer (or PRELOOM=tracebuf) "
		       "helps\n", (unsigned long)w->lost);
	if (tracejson_dropped(j))
		printf("%lu events are left out: the file reached --size %g MB\n", (unsigned long)tracejson_dropped(j), a->size_mb);
	if (w->gone && !w->ended)
		printf("the process was killed meanwhile; its last %d ms may be missing\n", READ_EVERY_MS);
	say_next("open %s at https://ui.perfetto.dev, or in chrome://tracing", a->file);
	return 0;
}

static const char *function_at(void *w, uint64_t address)
{
	return watch_function(w, address);
}

static int trace_to(struct watch *w, const struct args *a, FILE *f)
{
	char name[64];
	program_name(w->t->pid, name, sizeof(name));
	struct tracejson *j = tracejson_new(f, w->start_ticks, w->ns_per_tick, (uint64_t)(a->size_mb * MB));
	if (!j || !watch_model(w, &tracejson_sink, j))
		return fail("out of memory");
	if (!a->at_exit) {
		read_until(w, a->seconds);
		if (!w->ended && !w->gone)
			watch_stop(w);
	}
	watch_read(w, true);
	const struct tracebuf *b = tracefeed_state(w->feed);
	tracemodel_finish(w->tm, b->stop_ticks > w->start_ticks ? b->stop_ticks : 0);
	const struct trace_extra x = { w->lost, name, (int)w->t->pid, function_at, w };
	bool ok = tracejson_finish(j, w->tm, &x);
	int status = ok ? report(w, a, j) : fail("%s: %s", a->file, strerror(errno));
	tracejson_free(j);
	return status;
}

int cmd_trace(int argc, char **argv)
{
	struct args a;
	struct watch w;
	if (!parse(argc, argv, &a))
		return EXIT_USAGE;
	if (a.at_exit)
		begin_inside();
	struct target *t = target_open_arg("trace", a.pid);
	if (!t)
		return EXIT_FAILED;
	FILE *f = a.at_exit ? stdout : fopen(a.file, "we");
	int status = EXIT_FAILED;
	if (!f)
		fail("%s: %s", a.file, strerror(errno));
	else if (a.at_exit || watch_start(t, (uint64_t)(a.buffer_mb * MB))) {
		if (watch_open(&w, t))
			status = trace_to(&w, &a, f);
		else
			fail("process %s: it ended", a.pid);
		watch_let_go(&w);
		watch_close(&w);
	}
	if (f && fclose(f) != 0 && !status)
		status = fail("%s: %s", a.file, strerror(errno));
	target_close(t);
	return status;
}
