/* loaded.c - tells the runtime what code is loaded: every executable segment with its unwind information, and every object's
 * trampolines with the table of its sites.
 */
#include "loaded.h"

#include "../runtime/objtab.h"
#include "../runtime/runtime.h"
#include "imports.h"
#include "rawmem.h"
#include "sites.h"

_Static_assert(offsetof(struct site, addr) == offsetof(struct unwind_site, addr) &&
		       offsetof(struct site, next) == offsetof(struct unwind_site, next) &&
		       offsetof(struct site, span) == offsetof(struct unwind_site, span) &&
		       offsetof(struct site, span_end) == offsetof(struct unwind_site, span_end) &&
		       offsetof(struct site, tramp) == offsetof(struct unwind_site, tramp) &&
		       offsetof(struct site, ret) == offsetof(struct unwind_site, ret),
	       "a site begins with what the unwinder knows of it");

static uint32_t segments(const struct object_list *l, struct unwind_object *v)
{
	uint32_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		for (unsigned k = 0; k < l->v[i].ntext; k++)
			v[n++] = (struct unwind_object){.lo = l->v[i].text[k].lo, .hi = l->v[i].text[k].hi,
							.info = l->v[i].eh_frame_hdr,
							.size = (uint32_t)l->v[i].eh_frame_hdr_size, .kind = UnwindElf};
	return n;
}

static uint32_t trampolines(struct unwind_object *v)
{
	uint32_t n = 0;

	for (struct table *t = table_first(); t; t = table_next(t)) {
		if (!t->tramp || !atomic_load_explicit(&t->live, memory_order_relaxed))
			continue;
		if (v)
			v[n] = (struct unwind_object){.lo = t->tramp, .hi = t->tramp_end, .info = (uintptr_t)t->site,
						      .size = (uint32_t)t->n, .kind = UnwindTramp,
						      .stride = sizeof(struct site)};
		n++;
	}
	return n;
}

/* To the kernel, who traces a child is the kernel thread that forked it. A program that can do both is a debugger, mostly. */
static bool has_tracer(const struct object_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].is_exe)
			return object_imports(&l->v[i], "ptrace") &&
			       (object_imports(&l->v[i], "fork") || object_imports(&l->v[i], "vfork"));
	return false;
}

void loaded_changed(const struct object_list *l)
{
	static bool looked;
	if (!looked) {
		looked = true;
		rt_opt.tracer = has_tracer(l);
	}
	size_t size = (l->n * OBJECT_SEGMENTS + trampolines(NULL)) * sizeof(struct unwind_object);
	struct unwind_object *v = raw_map(size, 0);

	if (!v)
		return;
	uint32_t n = segments(l, v);
	n += trampolines(v + n);
	objtab_set(v, n);
	raw_unmap(v, size);
}
