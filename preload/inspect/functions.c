/* functions.c - where functions begin, for code that has no symbols: the sorted table of .eh_frame_hdr, which stripped objects
 * keep, has the start of every function that can be unwound. A table is read when an address in its object is first asked for.
 */
#include "functions.h"
#include "loadedcode.h"
#include <stdlib.h>
#include <string.h>

#define MAX_TABLE (64u << 20)
#define HEAD 12 /* version, three encodings, offset of .eh_frame, number of entries */
#define ENC_UDATA4 0x03
#define ENC_TABLE 0x3b

struct entry {
	int32_t start, fde; /* from the table's address */
};

struct functions {
	const struct target *t;
	struct unwind_object *objects;
	struct entry **table; /* one for each object; NULL: not read */
	uint32_t *ntable;
	uint32_t n;
};

struct functions *functions_open(const struct target *t)
{
	struct functions *f = calloc(1, sizeof(*f));
	uint32_t version;
	if (!f)
		return NULL;
	f->t = t;
	f->objects = loadedcode_read(t, &f->n, &version);
	if (!f->objects)
		f->n = 0;
	f->table = calloc(f->n + 1, sizeof(*f->table));
	f->ntable = calloc(f->n + 1, sizeof(*f->ntable));
	if (!f->table || !f->ntable) {
		functions_close(f);
		return NULL;
	}
	return f;
}

void functions_close(struct functions *f)
{
	for (uint32_t i = 0; f->table && i < f->n; i++)
		free(f->table[i]);
	free(f->objects);
	free(f->table);
	free(f->ntable);
	free(f);
}

static void read_table(struct functions *f, uint32_t i)
{
	const struct unwind_object *o = &f->objects[i];
	unsigned char head[HEAD];
	uint32_t n;
	f->table[i] = calloc(1, sizeof(struct entry)); /* asked for, whatever comes */
	if (o->kind != UnwindElf || o->size < HEAD || o->size > MAX_TABLE || !target_read(f->t, o->info, head, HEAD) ||
	    head[0] != 1 || head[2] != ENC_UDATA4 || head[3] != ENC_TABLE)
		return;
	memcpy(&n, head + 8, sizeof(n));
	struct entry *e = n > 0 && n <= (o->size - HEAD) / sizeof(*e) ? malloc(n * sizeof(*e)) : NULL;
	if (!e || !target_read(f->t, o->info + HEAD, e, n * sizeof(*e))) {
		free(e);
		return;
	}
	free(f->table[i]);
	f->table[i] = e;
	f->ntable[i] = n;
}

uintptr_t function_start(struct functions *f, uintptr_t pc)
{
	uint32_t i = 0, lo = 0, hi;
	while (i < f->n && (pc < f->objects[i].lo || pc >= f->objects[i].hi))
		i++;
	if (i == f->n)
		return 0;
	if (!f->table[i])
		read_table(f, i);
	hi = f->ntable[i];
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f->objects[i].info + (uintptr_t)(intptr_t)f->table[i][mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? f->objects[i].info + (uintptr_t)(intptr_t)f->table[i][lo - 1].start : 0;
}
