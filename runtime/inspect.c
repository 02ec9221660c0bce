/* inspect.c - the header that tools find. See inspect.h.
 */
#include "ending.h"
#include "inspect.h"
#include "objtab.h"
#include "runtime.h"
#include "tracebuf.h"

_Atomic uint32_t inspect_flags;

struct inspect_header preloom_inspect = {
	.magic = INSPECT_MAGIC,
	.version = INSPECT_VERSION,
	.size = sizeof(struct inspect_header),
	.release = PRELOOM_VERSION,
};

void inspect_init(uintptr_t text_lo, uintptr_t text_hi)
{
	struct inspect_header *h = &preloom_inspect;
	h->layout = inspect_layout();
	h->sched = (uintptr_t)&sched;
	h->allp = (uintptr_t)allp;
	h->m0 = (uintptr_t)&m0;
	h->main_g = (uintptr_t)&main_g;
	h->options = (uintptr_t)&rt_opt;
	g_describe_table(h);
	h->nfields = inspect_nfields;
	h->fields = (uintptr_t)inspect_fields;
	h->text_lo = text_lo;
	h->text_hi = text_hi;
	h->flags = (uintptr_t)&inspect_flags;
	h->objtab = (uintptr_t)&objtab;
	h->trace = (uintptr_t)&tracebuf;
	h->ending = (uintptr_t)&ending;
}

void inspect_ready(void)
{
	atomic_thread_fence(memory_order_release); /* the rest is there before the mark that says so */
	preloom_inspect.activated = 1;
}
