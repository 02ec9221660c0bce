/* tracefeed.c - reading the ring of chunks of runtime/tracebuf.c from outside.
 *
 * Chunks are numbered in the order in which they were taken, and each stands at its number modulo the ring. Each read looks
 * at the numbers that are new and at those that were still open the last time. A chunk is copied, then its number is
 * read again: if it is another by now, the copy is worthless and its events are lost.
 *
 * M's write their events on their own, so what one of them wrote may be seen after something later of another. Events
 * are kept back until the time of the read's beginning; and if an M has reserved a place but not filled it, until the
 * time of its last event before that, though not for ever: the M may have been forked away or killed.
 */
#include "tracefeed.h"
#include "../../runtime/arch/x86_64/arch.h"
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 64	 /* chunks */
#define PATIENCE 50	 /* reads for which a hole, or a number that is not there yet, is waited for */

struct watched {
	uint64_t seq;
	uint32_t done; /* events taken over */
	uint32_t waited;
	bool over;
};

struct tracefeed {
	const struct target *t;
	struct tracebuf b;
	uint64_t nchunks; /* of its pool */
	uint64_t seen;		/* numbers below this are watched or done */
	struct watched *w;
	size_t nw, roomw;
	struct feed_event *ev; /* the first `given` were handed out */
	size_t n, room, given;
	uint64_t lost, horizon;
	bool gap, gone, oom;
	struct trace_chunk *copy;
};

static bool read_head(struct tracefeed *f)
{
	if (!target_read(f->t, f->t->h.trace, &f->b, sizeof(f->b)))
		f->gone = true;
	return !f->gone;
}

struct tracefeed *tracefeed_open(const struct target *t)
{
	struct tracefeed *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->t = t;
	f->copy = malloc(AT_ONCE * sizeof(*f->copy));
	if (!f->copy || !read_head(f) ||
	    (f->b.pool && !target_read(t, (uintptr_t)f->b.pool, &f->nchunks, sizeof(f->nchunks)))) {
		tracefeed_close(f);
		return NULL;
	}
	f->seen = f->b.first;
	return f;
}

void tracefeed_close(struct tracefeed *f)
{
	if (!f)
		return;
	free(f->copy);
	free(f->w);
	free(f->ev);
	free(f);
}

static bool grow(void **p, size_t *room, size_t want, size_t size)
{
	if (want <= *room)
		return true;
	size_t n = *room ? *room : 1024;
	while (n < want)
		n *= 2;
	void *q = realloc(*p, n * size);
	if (!q)
		return false;
	*p = q;
	*room = n;
	return true;
}

static uintptr_t address_of(const struct tracefeed *f, uint64_t seq)
{
	return (uintptr_t)f->b.pool + sizeof(struct trace_pool) + seq % f->nchunks * TRACE_CHUNK;
}

static void lose(struct tracefeed *f, struct watched *w)
{
	f->lost += w->done < TRACE_EVENTS ? TRACE_EVENTS - w->done : 0;
	f->gap = true;
	w->over = true;
}

/* Numbers that were taken since the last read; those that the ring has left behind are lost. */
static void watch_new(struct tracefeed *f)
{
	uint64_t next = load_rlx(&f->b.next);
	if (next - f->seen > f->nchunks) {
		f->lost += (next - f->seen - f->nchunks) * TRACE_EVENTS;
		f->seen = next - f->nchunks;
		f->gap = true;
	}
	if (!grow((void **)&f->w, &f->roomw, f->nw + (size_t)(next - f->seen), sizeof(*f->w))) {
		f->oom = true;
		return;
	}
	for (; f->seen < next; f->seen++)
		f->w[f->nw++] = (struct watched){ .seq = f->seen };
}

static void keep(struct tracefeed *f, const struct trace_chunk *c, const struct trace_event *e)
{
	if (!grow((void **)&f->ev, &f->room, f->n + 1, sizeof(*f->ev))) {
		f->oom = true;
		f->lost++;
		return;
	}
	f->ev[f->n++] = (struct feed_event){ load_rlx(&e->ticks), e->type, e->sub, e->p, c->m, e->n, e->g, e->arg };
}

/* Takes over what is complete in a copy that is known to be good. */
static void take(struct tracefeed *f, struct watched *w, const struct trace_chunk *c, bool all)
{
	uint32_t n = load_rlx(&c->n) < TRACE_EVENTS ? load_rlx(&c->n) : TRACE_EVENTS;
	uint64_t last = w->done ? load_rlx(&c->ev[w->done - 1].ticks) : c->since;
	for (; w->done < n; w->done++) {
		const struct trace_event *e = &c->ev[w->done];
		uint64_t ticks = load_rlx(&e->ticks);
		if (ticks == 0) {
			if (!all && w->waited++ < PATIENCE) {
				f->horizon = last < f->horizon ? last : f->horizon;
				return;
			}
			f->lost++;
			continue;
		}
		w->waited = 0;
		last = ticks;
		keep(f, c, e);
	}
	w->over = all || (n == TRACE_EVENTS && !load_rlx(&c->open));
}

static void look(struct tracefeed *f, struct watched *w, const struct trace_chunk *c, uint64_t seq_after, bool all)
{
	if (c->seq > w->seq || (c->seq == w->seq && seq_after != w->seq)) {
		lose(f, w);
	} else if (c->seq < w->seq || c->session != load_rlx(&f->b.session)) {
		/* Not there yet, or passed over because somebody holds the place. */
		w->over = all || w->waited++ > PATIENCE;
	} else {
		take(f, w, c, all);
	}
}

static void look_at(struct tracefeed *f, struct watched *w, size_t n, bool all)
{
	uintptr_t from[AT_ONCE] = { 0 };
	void *to[AT_ONCE] = { NULL }, *to_seq[AT_ONCE] = { NULL };
	uint64_t seq[AT_ONCE] = { 0 };
	bool ok[AT_ONCE] = { false }, again[AT_ONCE] = { false };
	for (size_t i = 0; i < n; i++) {
		from[i] = address_of(f, w[i].seq);
		to[i] = &f->copy[i];
		to_seq[i] = &seq[i];
	}
	target_read_many(f->t, from, to, n, sizeof(struct trace_chunk), ok);
	target_read_many(f->t, from, to_seq, n, sizeof(uint64_t), again);
	for (size_t i = 0; i < n; i++) {
		if (ok[i] && again[i])
			look(f, &w[i], &f->copy[i], seq[i], all);
		else
			f->gone = true;
	}
}

static void drop_over(struct tracefeed *f)
{
	size_t k = 0;
	for (size_t i = 0; i < f->nw; i++)
		if (!f->w[i].over)
			f->w[k++] = f->w[i];
	f->nw = k;
}

static int by_time(const void *a, const void *b)
{
	const struct feed_event *x = a, *y = b;
	if (x->ticks != y->ticks)
		return x->ticks < y->ticks ? -1 : 1;
	return x->type < y->type ? -1 : x->type > y->type;
}

/* What is older than the last thing that is missing makes no sense. */
static void forget_before(struct tracefeed *f, uint64_t ticks)
{
	size_t k = 0;
	while (k < f->n && f->ev[k].ticks <= ticks)
		k++;
	f->lost += k;
	memmove(f->ev, f->ev + k, (f->n - k) * sizeof(*f->ev));
	f->n -= k;
}

size_t tracefeed_read(struct tracefeed *f, bool all, const struct feed_event **ev, bool *gap)
{
	memmove(f->ev, f->ev + f->given, (f->n - f->given) * sizeof(*f->ev));
	f->n -= f->given;
	f->given = 0;
	f->horizon = all ? UINT64_MAX : arch_cputicks();
	*gap = false;
	*ev = f->ev;
	if (!load_rlx(&f->b.pool))
		return 0;
	if (f->gone || !read_head(f)) {
		f->given = all ? f->n : 0;
		return f->given;
	}
	watch_new(f);
	for (size_t i = 0; i < f->nw; i += AT_ONCE)
		look_at(f, f->w + i, f->nw - i < AT_ONCE ? f->nw - i : AT_ONCE, all);
	drop_over(f);
	if (f->n > 1)
		qsort(f->ev, f->n, sizeof(*f->ev), by_time);
	if (f->gap && read_head(f)) {
		forget_before(f, load_rlx(&f->b.complete_from));
		*gap = true;
		f->gap = false;
	}
	while (f->given < f->n && f->ev[f->given].ticks < f->horizon)
		f->given++;
	*ev = f->ev;
	return f->given;
}

uint64_t tracefeed_lost(const struct tracefeed *f)
{
	return f->lost + load_rlx(&f->b.unwritten);
}

const struct tracebuf *tracefeed_state(const struct tracefeed *f)
{
	return &f->b;
}

bool tracefeed_gone(const struct tracefeed *f)
{
	return f->gone;
}
