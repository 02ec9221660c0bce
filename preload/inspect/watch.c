/* watch.c - a process whose scheduler trace is read while it runs.
 *
 * While we read, the process does not end without us (runtime/ending.c): a thread tells it that we are there by a number
 * that rises, also while names of functions take us long. Names of threads and of functions are read now and then, because a process that is killed leaves none.
 */
#include "watch.h"
#include "../../runtime/ending.h"
#include "command.h"
#include "control.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMES_EVERY 0.5 /* s */
#define BEAT_EVERY_MS 100

double watch_seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void write_ending(const struct target *t, size_t offset, uint32_t value)
{
	if (t->h.ending)
		target_write(t, t->h.ending + offset, &value, sizeof(value));
}

bool watch_start(const struct target *t, uint64_t buffer)
{
	int64_t arg = (int64_t)buffer, result;
	write_ending(t, offsetof(struct ending, attended), 1);
	bool answered = control_do(t, ControlTraceStart, &arg, 1, NULL, &result);
	if (answered && result == 0)
		return true;
	if (!answered || result != -EBUSY)
		write_ending(t, offsetof(struct ending, attended), 0);
	if (!answered)
		return false;
	if (result == -EBUSY)
		fail("process %d: it is being traced already", (int)t->pid);
	else
		fail("process %d: it has no memory for a trace (--buffer takes less)", (int)t->pid);
	return false;
}

bool watch_stop(const struct watch *w)
{
	int64_t result;
	return control_do(w->t, ControlTraceStop, NULL, 0, NULL, &result);
}

static void *beat(void *arg)
{
	struct watch *w = arg;
	for (uint32_t n = 1; !load_acq(&w->stop); n++) {
		write_ending(w->t, offsetof(struct ending, beat), n);
		nanosleep(&(struct timespec){ 0, BEAT_EVERY_MS * 1000000L }, NULL);
	}
	return NULL;
}

bool watch_open(struct watch *w, struct target *t)
{
	struct snapshot s;
	memset(w, 0, sizeof(*w));
	w->t = t;
	w->beating = pthread_create(&w->heart, NULL, beat, w) == 0;
	w->feed = tracefeed_open(t);
	w->symbols = symbols_open(t);
	if (!w->feed || !w->symbols || !snapshot_take(t, &s))
		return false;
	w->ns_per_tick = s.ns_per_tick;
	snapshot_free(&s);
	w->start_ticks = tracefeed_state(w->feed)->start_ticks;
	return true;
}

bool watch_model(struct watch *w, const struct trace_sink *sink, void *ctx)
{
	w->tm = tracemodel_new(sink, ctx, w->start_ticks);
	return w->tm != NULL;
}

void watch_close(struct watch *w)
{
	tracefeed_close(w->feed);
	if (w->symbols)
		symbols_close(w->symbols);
	tracemodel_free(w->tm);
	for (size_t i = 0; i < w->nplaces; i++)
		free(w->places[i].name);
	free(w->places);
	memset(w, 0, sizeof(*w));
}

static char *name_at(struct watch *w, uint64_t address)
{
	char text[256];
	const char *name = symbols_entry(w->symbols, address, text, sizeof(text));
	return *name ? strdup(name) : NULL;
}

const char *watch_function(struct watch *w, uint64_t address)
{
	for (size_t i = 0; i < w->nplaces; i++)
		if (w->places[i].address == address)
			return w->places[i].name;
	struct watch_place *p = address ? realloc(w->places, (w->nplaces + 1) * sizeof(*p)) : NULL;
	if (!p)
		return "";
	w->places = p;
	char *name = name_at(w, address);
	if (!name)
		return "";
	p[w->nplaces++] = (struct watch_place){ address, name };
	return name;
}

void watch_names(struct watch *w)
{
	struct snapshot s;
	target_reload_maps(w->t);
	if (!snapshot_take(w->t, &s))
		return;
	for (size_t i = 0; i < s.ng; i++) {
		const struct g *from = &s.g[i].g;
		struct trace_g *g = tracemodel_g(w->tm, from->goid);
		if (!g)
			continue;
		memcpy(g->name, from->name, GNAME_LEN);
		g->tid = from->tid;
		g->entry = from->entry;
		g->parent = from->parent_goid;
		watch_function(w, g->entry); /* now, while its file can be found */
	}
	snapshot_free(&s);
}

void watch_read(struct watch *w, bool all)
{
	const struct feed_event *ev;
	struct ending e = { 0 };
	bool gap;
	if (target_read(w->t, w->t->h.ending, &e, sizeof(e)))
		w->ended = load_rlx(&e.ended);
	size_t n = tracefeed_read(w->feed, all || w->ended, &ev, &gap);
	if (gap && n)
		tracemodel_gap(w->tm, ev[0].ticks);
	tracemodel_feed(w->tm, ev, n);
	w->gone = tracefeed_gone(w->feed);
	w->lost = tracefeed_lost(w->feed);
	double now = watch_seconds();
	if (!w->gone && (all || w->ended || now - w->looked_at > NAMES_EVERY)) {
		watch_names(w);
		w->looked_at = now;
	}
}

void watch_let_go(struct watch *w)
{
	struct ending e = { 0 };
	int64_t result;
	write_ending(w->t, offsetof(struct ending, attended), 0);
	/* Only one that goes on keeps its memory, and could be asked to give it back. */
	bool lives = target_read(w->t, w->t->h.ending, &e, sizeof(e)) && !load_rlx(&e.ended) && kill(w->t->pid, 0) == 0;
	if (lives)
		control_do(w->t, ControlTraceRelease, NULL, 0, NULL, &result);
	store_rel(&w->stop, true);
	if (w->beating)
		pthread_join(w->heart, NULL);
	w->beating = false;
	write_ending(w->t, offsetof(struct ending, done), 1);
}
