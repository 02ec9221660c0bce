/* sites.h - the tables of sites, one per object.
 */
#ifndef PRELOOM_SITES_H
#define PRELOOM_SITES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "object.h"
#include "rewrite.h"

struct table {
	struct table *_Atomic next;
	_Atomic bool live;     /* false: the object was unloaded */
	struct object object;  /* as it was then; pointers into it are valid while it is loaded */
	uintptr_t lo, hi;      /* the addresses of the sites */
	uintptr_t tramp, tramp_end;
	size_t size;	       /* of the table's memory */
	size_t n;
	struct site site[];    /* by address; so are the trampolines */
};

/* Memory for a table of n sites, not yet seen by readers. NULL: none. */
struct table *table_new(const struct object *o, size_t n);
void table_free(struct table *t);
void table_publish(struct table *t);
struct table *table_first(void);
struct table *table_next(struct table *t);

/* Rewrites one object, known or not; for rewrite_all, and for tests. Returns the number of sites or -errno. */
int rewrite_object(const struct object *o);

#endif
