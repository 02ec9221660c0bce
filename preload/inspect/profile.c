/* profile.c - `preloom profile`: what a process spent its time on, or waited for, in a span of time.
 *
 * The process counts, as long as this command has it do so; a profile that runs already (PRELOOM=cpuprofile=FILE, another
 * command) is read before and after instead. `--at-exit FORMAT` is what a process runs on itself at its end.
 */
#include "profile.h"
#include "command.h"
#include "control.h"
#include "proftree.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEASE 10 /* seconds beyond the asked ones */
#define TOP_LINES 30

static const char *const format_names[NFormat] = { "pprof", "folded", "svg", "top" };
static const char *const format_suffix[NFormat] = { "pb.gz", "folded", "svg", "txt" };

struct args {
	enum prof_type type;
	enum profile_format format;
	bool has_format, per_thread, at_exit;
	double seconds, rate;
	const char *file, *pid;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static bool format_of(const char *name, const char *const *names, enum profile_format *f)
{
	for (int i = 0; i < NFormat; i++)
		if (!strcmp(name, names[i])) {
			*f = (enum profile_format)i;
			return true;
		}
	return false;
}

static bool parse_option(struct args *a, const char *o, const char *v)
{
	if (!v)
		return fail_usage("%s: value missing, or unknown option (preloom help profile)", o), false;
	if (!strcmp(o, "--type") || !strcmp(o, "-t"))
		return prof_type_of(v, &a->type) || (fail_usage("--type %s: not one of cpu, block, mutex, threads, wall", v), false);
	if (!strcmp(o, "--seconds") || !strcmp(o, "-s"))
		return parse_number(o, v, 0, 86400, &a->seconds);
	if (!strcmp(o, "--rate"))
		return parse_number(o, v, 1, 1e9, &a->rate);
	if (!strcmp(o, "--format") || !strcmp(o, "-f")) {
		a->has_format = true;
		return format_of(v, format_names, &a->format) ||
		       (fail_usage("--format %s: not one of pprof, folded, svg, top", v), false);
	}
	if (!strcmp(o, "-o")) {
		a->file = v;
		return true;
	}
	return fail_usage("%s: unknown option (preloom help profile)", o), false;
}

static bool parse(int argc, char **argv, struct args *a)
{
	*a = (struct args){ .seconds = 10 };
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--per-thread")) {
			a->per_thread = true;
		} else if (!strcmp(argv[i], "--at-exit")) {
			a->at_exit = true;
		} else if (argv[i][0] == '-') {
			if (!parse_option(a, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
				return false;
			i++;
		} else if (a->pid) {
			return fail_usage("%s: one process only (preloom help profile)", argv[i]), false;
		} else {
			a->pid = argv[i];
		}
	}
	if (!a->pid)
		return fail_usage("a process id is needed (preloom help profile)"), false;
	if (!a->has_format && a->file) {
		const char *dot = strrchr(a->file, '.');
		if (dot && strcmp(dot, ".gz"))
			format_of(dot + 1, format_suffix, &a->format);
	}
	return true;
}

/* --- taking it --- */

bool profile_begin(const struct target *t, enum prof_type type, uint32_t rate, double seconds, struct profile_run *r)
{
	int64_t arg[3] = { type, rate, (int64_t)((seconds + LEASE) * 1e9) }, result;
	*r = (struct profile_run){ .type = type };
	if (!control_do(t, ControlProfStart, arg, 3, NULL, &result))
		return false;
	if (result == -EINVAL)
		return fail("process %d: --rate %u is outside of what this type takes", (int)t->pid, rate), false;
	if (result < 0 && result != -EBUSY)
		return fail("process %d: the profile cannot be started: %s", (int)t->pid, strerror((int)-result)), false;
	r->ours = result == 0;
	return profdata_read(t, type, &r->before);
}

bool profile_end(const struct target *t, struct profile_run *r, struct profdata *d)
{
	int64_t arg = r->type, result;
	if (r->ours && !control_do(t, ControlProfStop, &arg, 1, NULL, &result))
		return false;
	if (!profdata_read(t, r->type, d))
		return false;
	if (d->kind.start_ns == r->before.kind.start_ns && !r->ours)
		d->duration_ns -= r->before.duration_ns;
	profdata_since(d, &r->before);
	if (r->type == ProfThreads && !profdata_add_alive(t, d))
		return false;
	profdata_sort(d);
	profdata_free(&r->before);
	return true;
}

static void wait_for(const struct target *t, double seconds)
{
	struct timespec now, end;
	struct sigaction sa = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND };
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	double until = (double)end.tv_sec + (double)end.tv_nsec / 1e9 + seconds, left;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = until - ((double)now.tv_sec + (double)now.tv_nsec / 1e9);
		double nap = left > 0.2 ? 0.2 : left;
		if (left > 0)
			nanosleep(&(struct timespec){ (time_t)nap, (long)((nap - (double)(time_t)nap) * 1e9) }, NULL);
	} while (left > 0 && !interrupted && kill(t->pid, 0) == 0);
}

/* --- writing it --- */

static bool render(FILE *f, const struct args *a, const struct target *t, struct profdata *d)
{
	char title[128], sub[160], total[32];
	struct symbols *sym = symbols_open(t);
	if (!sym)
		return false;
	bool ok = true;
	profdata_fold(d, t);
	if (a->format == FormatPprof || a->format == FormatTop)
		profdata_trim(d, sym);
	if (a->format == FormatPprof) {
		ok = prof_write_pprof(f, t, d, sym);
	} else {
		struct proftree p;
		ok = proftree_build(&p, d, sym, &(struct proftree_options){ .per_thread = a->per_thread });
		snprintf(title, sizeof(title), "%s profile of process %d, %.1f s", prof_type_name(d->type), (int)t->pid,
			 (double)d->duration_ns / 1e9);
		snprintf(sub, sizeof(sub), "total %s%s%s", prof_format_value(total, sizeof(total), p.root.total, p.unit),
			 d->type == ProfThreads ? " threads alive" : "", d->lost ? "; some were lost, the tables are full" : "");
		if (ok && a->format == FormatFolded)
			prof_write_folded(f, &p);
		else if (ok && a->format == FormatSvg)
			prof_write_svg(f, &p, title, sub);
		else if (ok)
			prof_write_top(f, &p, title, TOP_LINES);
		proftree_free(&p);
	}
	symbols_close(sym);
	return ok;
}

static int write_file(const struct args *a, const struct target *t, struct profdata *d)
{
	char name[128];
	const char *file = a->file;
	if (!file && a->format != FormatTop && !a->at_exit) {
		snprintf(name, sizeof(name), "%s.%d.%s", prof_type_name(d->type), (int)t->pid, format_suffix[a->format]);
		file = name;
	}
	bool to_stdout = !file || !strcmp(file, "-");
	/* Not through a link that somebody else has put there. */
	int fd = to_stdout ? dup(1) : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!f)
		return fail("-o %s: %s", file, strerror(errno));
	bool ok = render(f, a, t, d);
	ok = fclose(f) == 0 && ok;
	if (!ok)
		return fail("-o %s: could not be written", to_stdout ? "-" : file);
	if (d->lost)
		fail("%lu samples found no place in the tables of process %d", (unsigned long)d->lost, (int)t->pid);
	if (to_stdout)
		return 0;
	if (a->format == FormatPprof)
		say_next("go tool pprof -top %s", file);
	else if (a->format == FormatSvg)
		say_next("open %s in a browser", file);
	return 0;
}

int cmd_profile(int argc, char **argv)
{
	struct args a;
	struct profile_run r;
	struct profdata d;
	if (!parse(argc, argv, &a))
		return EXIT_USAGE;
	if (a.format == FormatPprof && a.file && !strcmp(a.file, "-") && isatty(1))
		return fail_usage("-o -: a terminal cannot show pprof's format; name a file, or choose --format top");
	if (a.at_exit)
		begin_inside();
	struct target *t = target_open_arg("profile", a.pid);
	if (!t)
		return EXIT_FAILED;
	bool ok;
	if (a.at_exit) {
		ok = profdata_read(t, a.type, &d);
		profdata_sort(&d);
	} else {
		ok = profile_begin(t, a.type, (uint32_t)a.rate, a.seconds, &r);
		if (!ok) {
			target_close(t);
			return EXIT_FAILED;
		}
		wait_for(t, a.seconds);
		ok = profile_end(t, &r, &d);
	}
	if (!ok) {
		fail("process %d: it ended before the profile did", (int)t->pid);
		target_close(t);
		return EXIT_FAILED;
	}
	target_reload_maps(t);
	int status = write_file(&a, t, &d);
	profdata_free(&d);
	target_close(t);
	return status;
}
