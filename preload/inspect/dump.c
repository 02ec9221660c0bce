/* dump.c - `preloom dump PID`: what every thread does, waits for, and where, in the manner of Go's tracebacks.
 *
 * The process stands still only while its state is copied (capture.c).
 */
#include "../../runtime/crash.h"
#include "capture.h"
#include "command.h"
#include "lockreport.h"
#include "stacks.h"
#include "traceback.h"
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAP_STEP (1 << 20)

struct request {
	struct traceback_options print;
	bool still, times;
	long repeat;
	const char *pid;
	bool inside; /* asked for by the process itself, see runtime/helper.c */
	char event[16];
	int sig, code;
	unsigned long addr;
};

/* --inside=EVENT,GOID,CONTEXT,SIGNAL,CODE,ADDRESS,LEVEL */
static bool parse_inside(const char *arg, struct request *r)
{
	unsigned long goid, context;
	int level;
	if (sscanf(arg, "--inside=%15[a-z],%lu,%lx,%d,%d,%lx,%d", r->event, &goid, &context, &r->sig, &r->code, &r->addr,
		   &level) != 7)
		return false;
	r->inside = true;
	r->print.first = goid;
	r->print.context = context;
	r->print.only = level == TracebackSingle ? goid : 0;
	r->print.circles = !strcmp(r->event, "circle");
	r->print.system = level >= TracebackSystem;
	return true;
}

static bool parse(int argc, char **argv, struct request *r)
{
	*r = (struct request){ .print = { .stacks = true }, .still = true, .repeat = 1 };
	for (int i = 1; i < argc; i++) {
		double n;
		if (!strcmp(argv[i], "--system")) {
			r->print.system = true;
		} else if (!strcmp(argv[i], "--no-stacks")) {
			r->print.stacks = false;
		} else if (!strcmp(argv[i], "--no-stop")) {
			r->still = false;
		} else if (!strcmp(argv[i], "--times")) {
			r->times = true;
		} else if (!strcmp(argv[i], "--goroutine")) {
			if (!parse_number(argv[i], argv[i + 1], 1, 1e18, &n))
				return false;
			r->print.only = (uint64_t)n;
			i++;
		} else if (!strcmp(argv[i], "--repeat")) {
			if (!parse_number(argv[i], argv[i + 1], 1, 1e9, &n))
				return false;
			r->repeat = (long)n;
			i++;
		} else if (parse_inside(argv[i], r)) {
			continue;
		} else if (argv[i][0] == '-') {
			fail_usage("%s: unknown option (preloom help dump)", argv[i]);
			return false;
		} else if (r->pid) {
			fail_usage("%s: one process id is enough", argv[i]);
			return false;
		} else {
			r->pid = argv[i];
		}
	}
	if (!r->pid)
		fail_usage("a process id is needed (preloom help dump)");
	return r->pid != NULL;
}

/* All that is copied while the process stands still is copied once before, so that the heap has grown by then. */
static void rehearse(struct target *t, struct stacks *k)
{
	struct capture c;
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_TOP_PAD, HEAP_STEP);
	if (capture_take(t, false, stacks_early, k, &c))
		capture_free(&c);
}

static int dump(struct target *t, struct symbols *sym, struct stacks *k, const struct request *r)
{
	struct capture c;
	if (!capture_take(t, r->still, stacks_early, k, &c))
		return fail("process %d: it ended", (int)t->pid);
	if (r->print.only && !snapshot_g_by_goid(&c.s, r->print.only)) {
		capture_free(&c);
		return fail("--goroutine %lu: there is no such goroutine", (unsigned long)r->print.only);
	}
	if (r->still && c.not_stopped)
		fail("process %d: %s; its running threads' stacks are left out", (int)t->pid, c.not_stopped);
	if (r->times)
		fail("process %d stood still for %.3f ms, with %zu threads on %zu kernel threads", (int)t->pid,
		     (double)c.stopped_ns / 1e6, c.s.ng, c.nthreads);
	bool ok = traceback_print(stdout, &c, k, sym, &r->print);
	capture_free(&c);
	return ok ? 0 : fail("out of memory");
}

/* Symbols are kept while the same objects are loaded. */
static int dumps(struct target *t, const struct request *r)
{
	struct symbols *sym = symbols_open(t);
	if (sym && !strcmp(r->event, "lockcheck")) {
		bool ok = lockreport_print(stdout, t, sym, r->print.context);
		symbols_close(sym);
		return ok ? 0 : EXIT_FAILED;
	}
	struct stacks *k = stacks_open();
	uint64_t objects = target_objects(t);
	if (k && r->still && !r->inside)
		rehearse(t, k);
	int status = sym && k ? dump(t, sym, k, r) : fail("out of memory");
	for (long i = 1; i < r->repeat && status == 0; i++) {
		if (!target_reload_maps(t)) {
			status = fail("process %d: it ended", (int)t->pid);
		} else if (target_objects(t) != objects) {
			symbols_close(sym);
			sym = symbols_open(t);
			objects = target_objects(t);
		}
		if (status == 0)
			status = sym ? dump(t, sym, k, r) : fail("out of memory");
	}
	if (k)
		stacks_close(k);
	if (sym)
		symbols_close(sym);
	if (status == 0 && !r->inside)
		say_next("preloom top %d   (what they use), preloom profile --type block %d   (where they wait)", (int)t->pid,
			 (int)t->pid);
	return status;
}

int cmd_dump(int argc, char **argv)
{
	struct request r;
	if (!parse(argc, argv, &r))
		return EXIT_USAGE;
	if (r.inside)
		begin_inside();
	struct target *t = target_open_arg("dump", r.pid);
	if (!t)
		return EXIT_FAILED;
	int status = dumps(t, &r);
	target_close(t);
	return status;
}
