/* top.c - `preload top PID`: what the threads of a process do, again and again, seen from outside.
 *
 * The process is neither stopped nor asked, so this works on one that hangs.
 */
#include "command.h"
#include "topscreen.h"
#include "topview.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPLAIN_MOST 2000 /* in --batch: more rows than that show the runtime's own word for what they wait for */

struct arguments {
	struct top_options o;
	bool batch, no_ps;
	long times; /* < 0: for ever */
	double delay;
	size_t rows;
};

static bool parse_sort(const char *text, enum top_sort *sort)
{
	char all[128] = "";
	for (int i = 0; i < NSort; i++) {
		if (!strcmp(text, top_sort_names[i])) {
			*sort = (enum top_sort)i;
			return true;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "", top_sort_names[i]);
	}
	fail("--sort %s: not one of %s", text, all);
	return false;
}

/* False: a line has said why. */
static bool parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "batch", no_argument, NULL, 'b' },	  { "times", required_argument, NULL, 'n' },
		{ "delay", required_argument, NULL, 'd' }, { "sort", required_argument, NULL, 's' },
		{ "reverse", no_argument, NULL, 'r' },	  { "filter", required_argument, NULL, 'f' },
		{ "rows", required_argument, NULL, 'l' },  { "kernel-threads", no_argument, NULL, 'm' },
		{ "no-ps", no_argument, NULL, 'P' },	  { NULL, 0, NULL, 0 },
	};
	double n;
	int c;
	*a = (struct arguments){ .times = -1, .delay = 2, .rows = SIZE_MAX };
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+bn:d:s:rf:l:mP", options, NULL)) != -1) {
		bool ok = true;
		switch (c) {
		case 'b': a->batch = true; break;
		case 'r': a->o.reverse = true; break;
		case 'm': a->o.kernel_threads = true; break;
		case 'P': a->no_ps = true; break;
		case 'f': snprintf(a->o.filter, sizeof(a->o.filter), "%s", optarg); break;
		case 's': ok = parse_sort(optarg, &a->o.sort); break;
		case 'd': ok = parse_number("--delay", optarg, 0.01, 86400, &a->delay); break;
		case 'n':
			ok = parse_number("--times", optarg, 1, 1e9, &n);
			a->times = ok ? (long)n : 0;
			break;
		case 'l':
			ok = parse_number("--rows", optarg, 0, 1e9, &n);
			a->rows = ok ? (size_t)n : 0;
			break;
		default:
			fail("%s: unknown option, or its value is missing (preloom help top)", argv[optind - 1]);
			ok = false;
		}
		if (!ok)
			return false;
	}
	if (optind == argc - 1)
		return true;
	if (optind == argc)
		fail("one process id is needed (preloom help top)");
	else
		fail("%s: more than one process id", argv[optind + 1]);
	return false;
}

static void print_batch(struct top *d, const struct arguments *a)
{
	struct top_text t = { 0 };
	size_t rows = a->rows < d->nrow ? a->rows : d->nrow;
	top_explain(d, 0, rows < EXPLAIN_MOST ? rows : EXPLAIN_MOST);
	top_view_summary(&t, d);
	if (!a->no_ps)
		top_view_ps(&t, d);
	if (a->o.kernel_threads)
		top_view_ms(&t, d);
	top_view_head(&t, &a->o);
	top_view_rows(&t, d, 0, rows);
	for (size_t i = 0; i < t.n; i++)
		puts(t.line[i].text);
	putchar('\n');
	fflush(stdout);
	free(t.line);
}

/* False: the process ended. */
static bool run_batch(struct top *d, const struct arguments *a)
{
	struct timespec ts = { (time_t)a->delay, (long)((a->delay - (double)(time_t)a->delay) * 1e9) };
	for (long i = 0; a->times < 0 || i < a->times; i++) {
		nanosleep(&ts, NULL);
		if (!top_look(d, &a->o))
			return false;
		print_batch(d, a);
		if (ferror(stdout))
			break;
	}
	return true;
}

int cmd_top(int argc, char **argv)
{
	struct arguments a;
	struct top d;
	const char *why = NULL;
	if (!parse(argc, argv, &a))
		return EXIT_USAGE;
	if (!a.batch && !(isatty(0) && isatty(1)))
		return fail_usage("this is not a terminal; use --batch");
	struct target *t = target_open_arg("top", argv[optind]);
	if (!t)
		return EXIT_FAILED;
	int pid = (int)t->pid;
	bool there = false;
	if (!top_open(&d, t))
		why = "out of memory";
	else if ((there = top_look(&d, &a.o)))
		there = a.batch ? run_batch(&d, &a) : top_screen(&d, &a.o, a.delay, a.times, &why);
	top_close(&d);
	target_close(t);
	if (why)
		return fail("%s", why);
	if (!there)
		return fail("process %d: it has ended", pid);
	say_next("preloom dump %d, preloom trace %d", pid, pid);
	return 0;
}
