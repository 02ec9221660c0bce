/* lockreport.c - prints what PRELOOM=lockcheck found: the steps of an inversion, each with the place where the lock was taken
 * and the place where the next one was asked for; or the lock that was held for long, with the places of both ends.
 */
#include "lockreport.h"
#include "../../runtime/lockcheck.h"
#include "reason.h"
#include <inttypes.h>

static void print_stack(FILE *f, struct symbols *sym, const char *what, const struct lockcheck_stack *st)
{
	fprintf(f, "    %s\n", what);
	for (uint32_t i = 0; i < st->n && i < LOCKCHECK_DEPTH; i++) {
		const struct symbol *s;
		size_t n = symbols_at(sym, st->pc[i], false, &s);
		for (size_t k = 0; k < n; k++) {
			if (s[k].function)
				fprintf(f, "\t%s", s[k].function);
			else
				fprintf(f, "\t%#lx", (long)st->pc[i]);
			if (s[k].file)
				fprintf(f, "  %s:%d", s[k].file, s[k].line);
			fprintf(f, s[k].function ? "  in %s\n" : "  in %s+%#lx\n", s[k].object, (long)s[k].offset);
		}
	}
}

static void print_who(FILE *f, const struct lockcheck_step *s)
{
	fprintf(f, "goroutine %" PRIu64 " \"%.*s\" (thread %u)", s->goid, (int)sizeof(s->name), s->name, s->tid);
}

static void print_long(FILE *f, struct symbols *sym, const struct lockcheck_report *r)
{
	char place[160], time[48];
	reason_place(sym, r->step[0].held, place, sizeof(place));
	reason_time(r->held_ns, time, sizeof(time));
	fprintf(f, "preloom: lockcheck: %s was held for %s by ", place, time);
	print_who(f, &r->step[0]);
	fputc('\n', f);
	print_stack(f, sym, "taken at:", &r->step[0].took);
	print_stack(f, sym, "released at:", &r->step[0].wants);
}

static void print_inversion(FILE *f, struct symbols *sym, const struct lockcheck_report *r)
{
	char held[160], wanted[160], line[200];
	fprintf(f, "preloom: lockcheck: lock-order inversion: %u locks are taken in a circle\n", r->nstep);
	for (uint32_t i = 0; i < r->nstep && i < LOCKCHECK_STEPS; i++) {
		const struct lockcheck_step *s = &r->step[i];
		reason_place(sym, s->held, held, sizeof(held));
		reason_place(sym, s->wanted, wanted, sizeof(wanted));
		fputs("  ", f);
		print_who(f, s);
		fprintf(f, i ? " held %s and took %s\n" : " holds %s and takes %s\n", held, wanted);
		snprintf(line, sizeof(line), "%s was taken at:", held);
		print_stack(f, sym, line, &s->took);
		snprintf(line, sizeof(line), "%s was asked for at:", wanted);
		print_stack(f, sym, line, &s->wants);
	}
}

bool lockreport_print(FILE *f, const struct target *t, struct symbols *sym, uintptr_t at)
{
	static struct lockcheck_report r;
	if (!target_read(t, at, &r, sizeof(r)))
		return false;
	if (r.nstep)
		print_inversion(f, sym, &r);
	else
		print_long(f, sym, &r);
	fputc('\n', f);
	return true;
}
