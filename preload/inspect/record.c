/* record.c - `preloom record`: runs a program, or joins a process, and says at the end what its threads did.
 *
 * The program is our child, made by the launcher as always; PRELOOM=record=PID tells its runtime to trace from the start
 * and not to end before we have read all. Our exit status is the program's, and if a signal ended it we die of the
 * same. Ctrl-C reaches the program too (forward.c): what it does about it is its own business, but the recording
 * ends there.
 */
#include "record.h"
#include "command.h"
#include "forward.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_EVERY_MS 10
#define LAST_WORDS 0.5 /* s: after Ctrl-C, for the program to come to its end */
#define MAX_SLICES 300000
#define MAX_ROWS 4000
#define MB (1024.0 * 1024.0)

struct args {
	double seconds, buffer_mb;
	const char *file, *pid;
	char **program;
};

static pid_t child;

/* --- what is kept of the events --- */

static long row_of(struct recording *r, struct trace_g *g)
{
	if (!g->user)
		g->user = (void *)(timeline_row(&r->gs, g->goid) + 2); /* 1: there is no room */
	return (long)(uintptr_t)g->user - 2;
}

static uint32_t detail_of(const struct trace_g *g)
{
	switch (g->life) {
	case LifeRunning:
		return (uint32_t)g->p;
	case LifeRunnable:
		return (uint32_t)g->readied_by;
	default:
		return g->why;
	}
}

static bool on_futex(const struct trace_g *g)
{
	return g->life == LifeWaiting && (g->why == WaitFutex || g->why == WaitFutexPI);
}

static void on_begin(void *ctx, struct trace_g *g, uint64_t ticks)
{
	struct recording *r = ctx;
	if (on_futex(g))
		locks_wait(&r->locks, g->what, ticks);
}

static void on_end(void *ctx, struct trace_g *g, uint64_t ticks)
{
	struct recording *r = ctx;
	const struct slice s = { g->since, ticks, detail_of(g), (uint8_t)g->life };
	if (on_futex(g))
		locks_end(&r->locks, g->what, g->since, ticks, g->why == WaitFutexPI || g->word == 2, g->readied_by);
	timeline_add(&r->gs, row_of(r, g), &s);
}

static void on_p_end(void *ctx, int p, uint64_t goid, uint64_t since, uint64_t ticks)
{
	struct recording *r = ctx;
	const struct slice s = { since, ticks, (uint32_t)goid, LifeRunning };
	long row = -1;
	for (size_t i = 0; i < r->ps.nrows && row < 0; i++)
		if (r->ps.row[i].id == (uint64_t)p)
			row = (long)i;
	timeline_add(&r->ps, row >= 0 ? row : timeline_row(&r->ps, (uint64_t)p), &s);
}

static const struct trace_sink sink = { .begin = on_begin, .end = on_end, .p_end = on_p_end };

/* --- the program --- */

static bool find_launcher(char *path)
{
	static const char *const places[] = { "preloom", "../../bin/preloom", "../bin/preloom" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return false;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int len = snprintf(path, PATH_MAX, "%s/%s", self, places[i]);
		if (len < PATH_MAX && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* Between ours and the program's: the options, which the launcher hands on. */
static _Noreturn void become(const char *launcher, const struct args *a, pid_t recorder)
{
	const char *old = getenv("PRELOOM");
	char *options;
	size_t n = 0;
	while (a->program[n])
		n++;
	char **argv = calloc(n + 4, sizeof(*argv));
	if (!argv || asprintf(&options, "%s%srecord=%d,tracebuf=%d", old ? old : "", old && *old ? "," : "", (int)recorder,
			      (int)a->buffer_mb) < 0)
		_exit(EXIT_FAILED);
	setenv("PRELOOM", options, 1);
	argv[0] = "preloom";
	argv[1] = "run";
	argv[2] = "--";
	memcpy(argv + 3, a->program, n * sizeof(*argv));
	execv(launcher, argv);
	fail("%s: %s", launcher, strerror(errno));
	_exit(126);
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){ 0, READ_EVERY_MS * 1000000L }, NULL);
}

static bool child_ended(int *status)
{
	return child > 0 && waitpid(child, status, WNOHANG) == child;
}

static bool traces(const struct target *t)
{
	struct tracebuf b;
	return t->h.trace && target_read(t, t->h.trace, &b, sizeof(b)) && load_rlx(&b.pool) && b.start_ticks;
}

/* Waits until preloom is active in the child. NULL: the child has ended before that; *why is what was in the way. */
static struct target *wait_for_preloom(int *status, bool *ended, char *why, size_t size)
{
	const char *now;
	for (long ns = 1000000;; ns = ns < 30000000 ? ns * 5 / 4 : ns) {
		*ended = child_ended(status);
		if (*ended)
			return NULL;
		struct target *t = target_open(child, &now);
		if (t && traces(t))
			return t;
		if (t) {
			target_close(t);
			now = "it has only just begun";
		}
		if (!strstr(now, "no such process") && !strstr(now, "no memory of its own"))
			snprintf(why, size, "%s", now);
		nanosleep(&(struct timespec){ 0, ns }, NULL);
	}
}

/* --- recording --- */

static bool open_recording(struct recording *r, struct target *t)
{
	timeline_init(&r->gs, MAX_SLICES, MAX_ROWS);
	timeline_init(&r->ps, MAX_SLICES / 2, MAXPROCS);
	r->pid = t->pid;
	return watch_open(&r->w, t) && watch_model(&r->w, &sink, r);
}

static void close_recording(struct recording *r)
{
	record_profiles_free(r);
	timeline_free(&r->gs);
	timeline_free(&r->ps);
	locks_free(&r->locks);
	watch_close(&r->w);
}

/* Until the process ends or somebody has had enough. True: a child's end was seen here. */
static bool record(struct recording *r, double seconds, int *status)
{
	double end = watch_seconds() + seconds, enough = 0;
	while (!r->w.ended && !r->w.gone) {
		double now = watch_seconds();
		if (forward_count() && !enough)
			enough = now + (child > 0 ? LAST_WORDS : 0);
		if ((enough && now >= enough) || now >= end)
			break;
		pause_a_little();
		watch_read(&r->w, false);
		if (child_ended(status)) {
			r->w.gone = !r->w.ended;
			return true;
		}
	}
	return false;
}

static void finish(struct recording *r)
{
	if (!r->w.ended && !r->w.gone && kill(r->pid, 0) == 0)
		watch_stop(&r->w);
	watch_read(&r->w, true);
	record_profiles_end(r, child > 0);
	const struct tracebuf *b = tracefeed_state(r->w.feed);
	tracemodel_finish(r->w.tm, b->stop_ticks > r->w.start_ticks ? b->stop_ticks : 0);
	const struct trace_sums *s = tracemodel_sums(r->w.tm);
	r->seconds = seconds_of(r, s->last_ticks - s->first_ticks);
	r->nmutexes = locks_sort(&r->locks);
	r->how = r->w.ended ? "to its end" : r->w.gone ? "until a signal ended it" : "for a while";
}

static int write_report(struct recording *r, const char *file)
{
	record_summary(r, stderr);
	FILE *f = fopen(file, "we");
	if (!f)
		return fail("%s: %s", file, strerror(errno));
	bool ok = record_html(r, f);
	if (fclose(f) != 0 || !ok)
		return fail("%s: %s", file, strerror(errno));
	fprintf(stderr, "\nreport: %s\n", file);
	say_next("open %s in a browser", file);
	return 0;
}

/* --- the command --- */

static bool all_digits(const char *s)
{
	while (isdigit((unsigned char)*s))
		s++;
	return !*s;
}

static bool parse(int argc, char **argv, struct args *a)
{
	int i = 1;
	*a = (struct args){ .seconds = 1e9, .buffer_mb = 64, .file = "preloom-record.html" };
	for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--"); i += 2) {
		const char *o = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		bool known = !strcmp(o, "-o") || !strcmp(o, "--seconds") || !strcmp(o, "--buffer");
		if (!known)
			return fail_usage("%s: unknown option (preloom help record)", o), false;
		if (!value)
			return fail_usage("%s: value missing", o), false;
		if (!strcmp(o, "-o"))
			a->file = value;
		else if (!strcmp(o, "--seconds") && !parse_number(o, value, 0.01, 1e9, &a->seconds))
			return false;
		else if (!strcmp(o, "--buffer") && !parse_number(o, value, 1, 1024, &a->buffer_mb))
			return false;
	}
	bool dashes = i < argc && !strcmp(argv[i], "--");
	if (dashes)
		i++;
	if (i == argc)
		return fail_usage("a program, or a process id, is needed (preloom help record)"), false;
	if (!dashes && i + 1 == argc && all_digits(argv[i]))
		a->pid = argv[i];
	else
		a->program = argv + i;
	return true;
}

static void title_of(struct recording *r, char **words)
{
	size_t n = 0;
	for (; *words && n + 1 < sizeof(r->title); words++) {
		int len = snprintf(r->title + n, sizeof(r->title) - n, "%s%s", n ? " " : "", *words);
		n += len > 0 ? (size_t)len : 0;
	}
}

static void title_of_process(struct recording *r, pid_t pid)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/cmdline", (int)pid);
	FILE *f = fopen(name, "re");
	size_t n = f ? fread(r->title, 1, sizeof(r->title) - 1, f) : 0;
	if (f)
		fclose(f);
	while (n && !r->title[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		if (!r->title[i])
			r->title[i] = ' ';
	if (!n)
		snprintf(r->title, sizeof(r->title), "process %d", (int)pid);
}

/* As the program ended, so do we. */
static int same_end(int status)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none); /* the program's own core says more than ours */
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static int wait_for_child(void)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILED << 8;
	return status;
}

static int record_program(struct recording *r, const struct args *a)
{
	char launcher[PATH_MAX], why[256] = "";
	int status = 0;
	bool ended;
	pid_t self = getpid();
	if (!find_launcher(launcher))
		return fail("the preloom command is not beside preloom-inspect");
	forward_catch();
	child = forward_fork();
	if (child < 0)
		return fail("%s", strerror(errno));
	if (child == 0)
		become(launcher, a, self);
	title_of(r, a->program);
	struct target *t = wait_for_preloom(&status, &ended, why, sizeof(why));
	if (!t) {
		fail("%s: nothing is recorded%s%s", a->program[0], why[0] ? ": " : "", why);
		return same_end(status);
	}
	if (open_recording(r, t)) {
		ended = record(r, a->seconds, &status);
		finish(r);
		write_report(r, a->file);
	} else {
		fail("process %d: it cannot be read", (int)child);
	}
	watch_let_go(&r->w);
	close_recording(r);
	if (!ended)
		status = wait_for_child();
	target_close(t);
	return same_end(status);
}

static int record_process(struct recording *r, const struct args *a)
{
	int status = EXIT_FAILED, unused;
	struct target *t = target_open_arg("record", a->pid);
	if (!t)
		return EXIT_FAILED;
	title_of_process(r, t->pid);
	forward_catch();
	if (watch_start(t, (uint64_t)(a->buffer_mb * MB))) {
		if (open_recording(r, t)) {
			record_profiles_begin(r);
			record(r, a->seconds, &unused);
			finish(r);
			status = write_report(r, a->file);
		} else {
			status = fail("process %s: it ended", a->pid);
		}
		watch_let_go(&r->w);
		close_recording(r);
	}
	target_close(t);
	return status;
}

int cmd_record(int argc, char **argv)
{
	struct args a;
	struct recording r;
	memset(&r, 0, sizeof(r));
	if (!parse(argc, argv, &a))
		return EXIT_USAGE;
	return a.pid ? record_process(&r, &a) : record_program(&r, &a);
}
