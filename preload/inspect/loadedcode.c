/* loadedcode.c - the process's table of loaded code, copied while the process may change it.
 *
 * A table stays whole until the change after the next one, see runtime/objtab.c. So a copy is good if the version
 * has gone up by one at most while it was made.
 */
#include "loadedcode.h"
#include "../../runtime/objtab.h"
#include <stdlib.h>
#include <string.h>

#define MAX_OBJECTS 100000u
#define ATTEMPTS 100

static bool read_table(const struct target *t, struct objtab *tab)
{
	memset(tab, 0, sizeof(*tab));
	return t->h.objtab && target_read(t, t->h.objtab, tab, sizeof(*tab));
}

uint32_t loadedcode_version(const struct target *t)
{
	struct objtab tab;
	return read_table(t, &tab) ? load_rlx(&tab.version) : 0;
}

static struct unwind_object *read_view(const struct target *t, const struct objtab *tab, uint32_t *n)
{
	uintptr_t view = (uintptr_t)load_rlx(&tab->view);
	struct objview head;
	if (!target_read(t, view, &head, sizeof(head)) || head.n > MAX_OBJECTS)
		return NULL;
	struct unwind_object *v = calloc(head.n + 1, sizeof(*v));
	if (v && !target_read(t, view + offsetof(struct objview, v), v, head.n * sizeof(*v))) {
		free(v);
		v = NULL;
	}
	*n = head.n;
	return v;
}

struct unwind_object *loadedcode_read(const struct target *t, uint32_t *n, uint32_t *version)
{
	struct objtab tab;
	for (int i = 0; i < ATTEMPTS && read_table(t, &tab); i++) {
		*version = load_rlx(&tab.version);
		struct unwind_object *v = read_view(t, &tab, n);
		if (v && loadedcode_version(t) - *version <= 1)
			return v;
		free(v);
	}
	return NULL;
}
