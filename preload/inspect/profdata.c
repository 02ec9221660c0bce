/* profdata.c - copies a profile out of a process.
 *
 * The tables are read whole: pages that were never touched read as zeros and cost little. A bucket whose stack or thread is
 * still being written when we look has no frames or no name then; at the next look it has.
 */
#include "profdata.h"
#include "snapshot.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const type_names[NProf] = { "cpu", "block", "mutex", "threads", "wall" };

const char *prof_type_name(enum prof_type t)
{
	return type_names[t];
}

bool prof_type_of(const char *name, enum prof_type *t)
{
	for (int i = 0; i < NProf; i++)
		if (!strcmp(name, type_names[i])) {
			*t = (enum prof_type)i;
			return true;
		}
	return false;
}

const char *prof_state_name(uint32_t state)
{
	static const char *const reasons[NWaitReason] = {
		[WaitNone] = "", [WaitFutex] = "futex", [WaitFutexPI] = "futex-pi", [WaitSleep] = "sleep",
		[WaitIORead] = "read", [WaitIOWrite] = "write", [WaitPoll] = "poll", [WaitEpoll] = "epoll",
		[WaitSignal] = "signal", [WaitM] = "kernel-thread",
	};
	switch (state) {
	case ProfRunning:
		return "running";
	case ProfRunnable:
		return "runnable";
	case ProfSyscall:
		return "system-call";
	case ProfScheduler:
		return "scheduler";
	default:
		return state < NWaitReason && reasons[state] ? reasons[state] : "other";
	}
}

struct tables {
	struct prof prof;
	struct prof_stack *stacks;
	struct prof_label *labels;
	struct prof_bucket *buckets;
};

static bool read_array(const struct target *t, const void *from, void **to, size_t n)
{
	*to = malloc(n);
	return *to && target_read(t, (uintptr_t)from, *to, n);
}

static bool read_tables(const struct target *t, struct tables *x, struct profdata *d)
{
	struct prof_stack *stacks = load_rlx(&x->prof.stacks);
	struct prof_bucket *buckets = load_rlx(&x->prof.kind[d->type].bucket);
	uint32_t nwords = load_rlx(&x->prof.nwords);
	if (nwords > PROF_WORDS)
		nwords = PROF_WORDS;
	/* The counters first: what they name was there before. */
	return read_array(t, buckets, (void **)&x->buckets, PROF_BUCKETS * sizeof(*buckets)) &&
	       read_array(t, stacks, (void **)&x->stacks, PROF_STACKS * sizeof(*stacks)) &&
	       read_array(t, x->prof.labels, (void **)&x->labels, PROF_LABELS * sizeof(*x->labels)) &&
	       read_array(t, x->prof.words, (void **)&d->words, (nwords + 1) * sizeof(*d->words));
}

static const struct prof_thread *thread_at(struct profdata *d, const struct tables *x, uint32_t place)
{
	if (place == 0 || place > PROF_LABELS || !load_rlx(&x->labels[place - 1].ready))
		return NULL;
	const struct prof_label *l = &x->labels[place - 1];
	struct prof_thread *th = &d->thread[place - 1];
	uint64_t name[2] = { load_rlx(&l->name[0]), load_rlx(&l->name[1]) };
	th->goid = l->goid;
	th->tid = l->tid;
	th->entry = l->entry;
	memcpy(th->name, name, sizeof(name));
	return th;
}

static void add_bucket(struct profdata *d, const struct tables *x, const struct prof_bucket *b)
{
	uint64_t key = load_rlx(&b->key);
	uint32_t stack = PROF_KEY_STACK(key);
	struct prof_sample *s = &d->sample[d->n];
	if (!key || stack == 0 || stack > PROF_STACKS)
		return;
	const struct prof_stack *st = &x->stacks[stack - 1];
	uint32_t at = load_rlx(&st->at), n = load_rlx(&st->n), top = load_rlx(&x->prof.nwords);
	*s = (struct prof_sample){ .key = key, .state = PROF_KEY_STATE(key), .count = (int64_t)load_rlx(&b->count),
				   .value = (int64_t)load_rlx(&b->value) };
	if (at && at - 1 <= top && n <= top - (at - 1)) {
		s->pc = d->words + at - 1;
		s->npc = n;
	}
	s->thread = thread_at(d, x, PROF_KEY_LABEL(key));
	if (s->count)
		d->n++;
}

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

bool profdata_read(const struct target *t, enum prof_type type, struct profdata *d)
{
	struct tables x;
	struct inspect_header h;
	memset(&x, 0, sizeof(x));
	*d = (struct profdata){ .type = type };
	if (!target_read(t, t->where, &h, sizeof(h)))
		return false;
	if (!h.prof)
		return true;
	if (!target_read(t, h.prof, &x.prof, sizeof(x.prof)))
		return false;
	d->kind = x.prof.kind[type];
	d->lost = load_rlx(&d->kind.lost);
	d->duration_ns = (d->kind.stop_ns ? d->kind.stop_ns : now_ns()) - d->kind.start_ns;
	if (!load_rlx(&d->kind.bucket))
		return true;
	d->sample = calloc(PROF_BUCKETS, sizeof(*d->sample));
	d->thread = calloc(PROF_LABELS, sizeof(*d->thread));
	bool ok = d->sample && d->thread && read_tables(t, &x, d);
	for (uint32_t i = 0; ok && i < PROF_BUCKETS; i++)
		add_bucket(d, &x, &x.buckets[i]);
	free(x.buckets);
	free(x.stacks);
	free(x.labels);
	return ok;
}

static int by_key(const void *a, const void *b)
{
	const struct prof_sample *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

void profdata_since(struct profdata *d, const struct profdata *from)
{
	size_t n = 0;
	struct prof_sample *old = calloc(from->n + 1, sizeof(*old));
	if (!old)
		return;
	if (from->n)
		memcpy(old, from->sample, from->n * sizeof(*old));
	qsort(old, from->n, sizeof(*old), by_key);
	for (size_t i = 0; i < d->n; i++) {
		const struct prof_sample *was = bsearch(&d->sample[i], old, from->n, sizeof(*old), by_key);
		d->sample[n] = d->sample[i];
		if (was) {
			d->sample[n].count -= was->count;
			if (d->type != ProfThreads) /* there it is how many are alive */
				d->sample[n].value -= was->value;
		}
		if (d->sample[n].count > 0 || (d->type == ProfThreads && d->sample[n].value > 0))
			n++;
	}
	free(old);
	d->n = n;
	d->lost -= from->lost;
}

bool profdata_add_alive(const struct target *t, struct profdata *d)
{
	struct snapshot s;
	if (!snapshot_take(t, &s))
		return false;
	struct prof_sample *sample = realloc(d->sample, (d->n + s.ng + 1) * sizeof(*sample));
	/* One frame and one thread each, behind what there is: neither array may move. */
	uintptr_t *pc = calloc(s.ng + 1, sizeof(*pc));
	struct prof_thread *th = calloc(s.ng + 1, sizeof(*th));
	if (!sample || !pc || !th)
		return false;
	d->sample = sample;
	for (size_t i = 0; i < s.ng; i++) {
		const struct g *g = &s.g[i].g;
		if (g->prof_birth || !g->created_at)
			continue;
		pc[i] = g->created_at - 1;
		th[i].entry = g->entry;
		d->sample[d->n++] = (struct prof_sample){ .pc = &pc[i], .npc = 1, .thread = &th[i], .count = 1, .value = 1 };
	}
	snapshot_free(&s);
	d->extra_pc = pc;
	d->extra_thread = th;
	return true;
}

static int by_value(const void *a, const void *b)
{
	const struct prof_sample *x = a, *y = b;
	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return by_key(a, b);
}

void profdata_sort(struct profdata *d)
{
	qsort(d->sample, d->n, sizeof(*d->sample), by_value);
}

void profdata_free(struct profdata *d)
{
	free(d->sample);
	free(d->thread);
	free(d->words);
	free(d->extra_pc);
	free(d->extra_thread);
	*d = (struct profdata){ 0 };
}
