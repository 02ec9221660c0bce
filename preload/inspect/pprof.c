/* pprof.c - a profile in pprof's format: a protocol buffer, compressed by gzip. See github.com/google/pprof, profile.proto.
 *
 * The buffer is written by hand: a message is a sequence of (field number << 3 | wire type, value). Samples keep their threads as
 * labels: thread (its name), goroutine, tid, entry, and state.
 */
#include "proftree.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

struct buf {
	unsigned char *p;
	size_t n, cap;
	bool failed;
};

static void put_bytes(struct buf *b, const void *p, size_t n)
{
	if (b->cap - b->n < n) {
		size_t cap = b->cap * 2 > b->n + n ? b->cap * 2 : b->n + n + 4096;
		unsigned char *more = realloc(b->p, cap);
		if (!more) {
			b->failed = true;
			return;
		}
		b->p = more;
		b->cap = cap;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_varint(struct buf *b, uint64_t v)
{
	unsigned char c[10];
	size_t n = 0;
	do {
		c[n] = (unsigned char)(v & 0x7f) | (v > 0x7f ? 0x80 : 0);
		v >>= 7;
		n++;
	} while (v);
	put_bytes(b, c, n);
}

static void put_int(struct buf *b, unsigned field, uint64_t v)
{
	if (!v)
		return;
	put_varint(b, field << 3);
	put_varint(b, v);
}

static void put_string(struct buf *b, unsigned field, const void *p, size_t n)
{
	put_varint(b, field << 3 | 2);
	put_varint(b, n);
	put_bytes(b, p, n);
}

/* A message within another: build it in m, then this, and m is empty again. */
static void put_message(struct buf *b, unsigned field, struct buf *m)
{
	b->failed |= m->failed;
	put_string(b, field, m->p ? (const void *)m->p : "", m->n);
	m->n = 0;
}

/* --- tables with ids from 1 (strings from 0): open addressing by hash --- */

struct ids {
	struct id {
		char *key;
		size_t len;
		uint32_t id;
	} *v;
	size_t size;
	uint32_t n;
};

static uint64_t hash_bytes(const char *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

static bool ids_grow(struct ids *t)
{
	size_t size = t->size ? 2 * t->size : 1024;
	struct id *v = calloc(size, sizeof(*v));
	if (!v)
		return false;
	for (size_t i = 0; i < t->size; i++) {
		if (!t->v[i].key)
			continue;
		size_t at = hash_bytes(t->v[i].key, t->v[i].len) & (size - 1);
		while (v[at].key)
			at = (at + 1) & (size - 1);
		v[at] = t->v[i];
	}
	free(t->v);
	t->v = v;
	t->size = size;
	return true;
}

/* The id of a key; *is_new if it had none. */
static uint32_t id_of(struct ids *t, const void *key, size_t len, bool *is_new)
{
	*is_new = false;
	if (t->n * 2 >= t->size && !ids_grow(t))
		return 0;
	size_t at = hash_bytes(key, len) & (t->size - 1);
	for (; t->v[at].key; at = (at + 1) & (t->size - 1))
		if (t->v[at].len == len && !memcmp(t->v[at].key, key, len))
			return t->v[at].id;
	char *copy = malloc(len + 1);
	if (!copy)
		return 0;
	memcpy(copy, key, len);
	t->v[at] = (struct id){ copy, len, t->n++ };
	*is_new = true;
	return t->v[at].id;
}

static void ids_free(struct ids *t)
{
	for (size_t i = 0; i < t->size; i++)
		free(t->v[i].key);
	free(t->v);
}

/* --- the profile --- */

struct writer {
	struct buf out, strings, m, sub;
	struct ids string, function, location;
	const struct target *t;
	struct symbols *sym;
};

static uint64_t string_id(struct writer *w, const char *s)
{
	bool is_new;
	uint32_t id = id_of(&w->string, s, strlen(s), &is_new);
	if (is_new)
		put_string(&w->strings, 6, s, strlen(s));
	return id;
}

static uint64_t function_id(struct writer *w, const char *name, const char *file)
{
	const uint64_t key[2] = { string_id(w, name), string_id(w, file ? file : "") };
	bool is_new;
	uint64_t id = id_of(&w->function, key, sizeof(key), &is_new) + 1;
	if (!is_new)
		return id;
	struct buf m = { 0 };
	put_int(&m, 1, id);
	put_int(&m, 2, key[0]);
	put_int(&m, 3, key[0]);
	put_int(&m, 4, key[1]);
	put_message(&w->out, 5, &m);
	free(m.p);
	return id;
}

static uint64_t mapping_id(const struct writer *w, uintptr_t pc)
{
	const struct mapping *m = target_mapping(w->t, pc);
	return m && *m->path ? (uint64_t)(m - w->t->maps) + 1 : 0;
}

static uint64_t location_id(struct writer *w, uintptr_t pc)
{
	bool is_new;
	uint64_t id = id_of(&w->location, &pc, sizeof(pc), &is_new) + 1;
	if (!is_new)
		return id;
	const struct symbol *s;
	const char *name[SYMBOL_DEPTH];
	char text[256];
	struct buf m = { 0 }, line = { 0 };
	size_t n = prof_names_at(w->sym, pc, name, SYMBOL_DEPTH, text, sizeof(text));
	symbols_at(w->sym, pc, false, &s);
	put_int(&m, 1, id);
	put_int(&m, 2, mapping_id(w, pc));
	put_int(&m, 3, pc);
	for (size_t i = 0; i < n; i++) {
		put_int(&line, 1, function_id(w, name[i], s[i].file));
		put_int(&line, 2, s[i].line > 0 ? (uint64_t)s[i].line : 0);
		put_message(&m, 4, &line);
	}
	put_message(&w->out, 4, &m);
	free(m.p);
	free(line.p);
	return id;
}

static void put_mappings(struct writer *w)
{
	for (size_t i = 0; i < w->t->nmaps; i++) {
		const struct mapping *m = &w->t->maps[i];
		if (!strchr(m->perms, 'x') || !*m->path)
			continue;
		put_int(&w->m, 1, i + 1);
		put_int(&w->m, 2, m->lo);
		put_int(&w->m, 3, m->hi);
		put_int(&w->m, 4, m->offset);
		put_int(&w->m, 5, string_id(w, m->path));
		put_int(&w->m, 7, 1);
		put_message(&w->out, 3, &w->m);
	}
}

static void put_value_type(struct writer *w, unsigned field, const char *type, const char *unit)
{
	put_int(&w->m, 1, string_id(w, type));
	put_int(&w->m, 2, string_id(w, unit));
	put_message(&w->out, field, &w->m);
}

static void label_text(struct writer *w, const char *key, const char *value)
{
	if (!*value)
		return;
	put_int(&w->sub, 1, string_id(w, key));
	put_int(&w->sub, 2, string_id(w, value));
	put_message(&w->m, 3, &w->sub);
}

static void label_number(struct writer *w, const char *key, uint64_t value)
{
	if (!value)
		return;
	put_int(&w->sub, 1, string_id(w, key));
	put_int(&w->sub, 3, value);
	put_message(&w->m, 3, &w->sub);
}

static void put_labels(struct writer *w, const struct profdata *d, const struct prof_sample *s)
{
	char text[256];
	if (s->thread) {
		label_text(w, "thread", s->thread->name);
		label_number(w, "goroutine", s->thread->goid);
		label_number(w, "tid", s->thread->tid);
		const char *entry = symbols_entry(w->sym, s->thread->entry, text, sizeof(text));
		label_text(w, "entry", !*entry && s->thread->goid == 1 ? "main" : entry);
	}
	label_text(w, "call", s->call ? s->call : "");
	if (d->type != ProfThreads)
		label_text(w, "state", prof_state_name(s->state));
}

static void put_sample(struct writer *w, const struct profdata *d, const struct prof_sample *s)
{
	uint64_t *id = malloc((s->npc + 1) * sizeof(*id));
	if (!id)
		return;
	for (uint32_t i = 0; i < s->npc; i++)
		id[i] = location_id(w, s->pc[i]);
	for (uint32_t i = 0; i < s->npc; i++)
		put_varint(&w->sub, id[i]);
	free(id);
	put_message(&w->m, 1, &w->sub);
	put_varint(&w->sub, (uint64_t)s->count);
	put_varint(&w->sub, (uint64_t)s->value);
	put_message(&w->m, 2, &w->sub);
	put_labels(w, d, s);
	put_message(&w->out, 2, &w->m);
}

static void put_head(struct writer *w, const struct profdata *d)
{
	static const char *const types[NProf][4] = {
		[ProfCpu] = { "samples", "count", "cpu", "nanoseconds" },
		[ProfBlock] = { "contentions", "count", "delay", "nanoseconds" },
		[ProfMutex] = { "contentions", "count", "delay", "nanoseconds" },
		[ProfThreads] = { "threadcreate", "count", "alive", "count" },
		[ProfWall] = { "samples", "count", "wall", "nanoseconds" },
	};
	const char *const *t = types[d->type];
	put_value_type(w, 1, t[0], t[1]);
	put_value_type(w, 1, t[2], t[3]);
	put_value_type(w, 11, t[2], t[3]);
	bool timed = d->type == ProfCpu || d->type == ProfWall;
	put_int(&w->out, 12, timed && d->kind.rate ? (uint64_t)NSEC_PER_SEC / d->kind.rate : 1);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	put_int(&w->out, 9, (uint64_t)(now.tv_sec * NSEC_PER_SEC + now.tv_nsec - d->duration_ns));
	put_int(&w->out, 10, (uint64_t)d->duration_ns);
	put_int(&w->out, 14, string_id(w, t[2]));
}

static bool compress_to(FILE *f, const struct buf *parts, size_t n)
{
	unsigned char out[16384];
	z_stream z = { 0 };
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bool ok = true;
	for (size_t i = 0; i < n && ok; i++) {
		z.next_in = parts[i].p;
		z.avail_in = (uInt)parts[i].n;
		do {
			z.next_out = out;
			z.avail_out = sizeof(out);
			deflate(&z, i + 1 == n ? Z_FINISH : Z_NO_FLUSH);
			size_t have = sizeof(out) - z.avail_out;
			ok = fwrite(out, 1, have, f) == have;
		} while (ok && z.avail_out == 0);
	}
	deflateEnd(&z);
	return ok;
}

bool prof_write_pprof(FILE *f, const struct target *t, const struct profdata *d, struct symbols *sym)
{
	struct writer w = { .t = t, .sym = sym };
	string_id(&w, ""); /* the first must be the empty one */
	put_head(&w, d);
	put_mappings(&w);
	for (size_t i = 0; i < d->n; i++)
		put_sample(&w, d, &d->sample[i]);
	const struct buf parts[] = { w.out, w.strings };
	bool ok = !w.out.failed && !w.strings.failed && !w.m.failed && !w.sub.failed && compress_to(f, parts, 2);
	free(w.out.p);
	free(w.strings.p);
	free(w.m.p);
	free(w.sub.p);
	ids_free(&w.string);
	ids_free(&w.function);
	ids_free(&w.location);
	return ok;
}
