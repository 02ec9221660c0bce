/* stacks.c - unwinds the stacks of captured G's with the runtime's own unwinder.
 *
 * Memory comes from the copy of the stack if it is in there, else from the live process: unwind information through a cache
 * of pages, as it does not change, and from the object's file if the process has ended meanwhile. Where a stack begins: a G that runs, in the registers of its kernel thread; one that was
 * switched out, in the frame that arch_mcall left; one that never ran, in the entry frame that it was made with. From
 * there the stack goes through preloom's own frames and the trampoline into the program.
 */
#include "stacks.h"
#include "../../runtime/arch/x86_64/sigframe.h"
#include "loadedcode.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 2048
#define THREAD_TOP (128UL << 10) /* glibc's descriptor and the thread's static TLS lie above its first frame */
#define HANDLER_FRAMES 64
#define MAX_SITES (16UL << 20) /* bytes */

struct page {
	uintptr_t addr; /* 0: empty */
	unsigned char data[PAGE];
};

struct stacks {
	const struct capture *c;
	const struct captured *now; /* the stack that is being unwound */
	struct unwind_object *objects;
	uint32_t nobjects;
	uint32_t version; /* of the table of objects, as it was read */
	unsigned char **sites; /* of each object, the rewritten system calls in it; NULL: it has none */
	struct page *pages;
	struct unwind_space space;
	struct frame f[STACK_DEPTH];
	struct frame ring[STACK_DEPTH / 2];
};

/* Only what cannot be written is the same tomorrow. */
static const struct mapping *constant(const struct stacks *k, uintptr_t at)
{
	const struct mapping *m = target_mapping(k->c->t, at);
	return m && m->perms[1] != 'w' ? m : NULL;
}

static bool read_file_page(const struct stacks *k, const struct mapping *m, uintptr_t base, void *to)
{
	int fd = target_open_object(k->c->t, m);
	bool ok = fd >= 0 && pread(fd, to, PAGE, (off_t)(base - m->lo + m->offset)) > 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static int read_page(struct stacks *k, const struct mapping *m, void *to, uintptr_t from, size_t n)
{
	uintptr_t base = from & ~(PAGE - 1);
	struct page *p = &k->pages[base / PAGE % PAGES];
	if (p->addr != base) {
		p->addr = 0;
		if (!target_read(k->c->t, base, p->data, PAGE) && !read_file_page(k, m, base, p->data))
			return -1;
		p->addr = base;
	}
	memcpy(to, p->data + (from - base), n);
	return 0;
}

static bool read_site(const struct stacks *k, void *to, uintptr_t from, size_t n)
{
	for (uint32_t i = 0; i < k->nobjects; i++) {
		const struct unwind_object *o = &k->objects[i];
		size_t size = (size_t)o->size * o->stride;
		if (k->sites[i] && from - o->info < size && n <= size - (from - o->info)) {
			memcpy(to, k->sites[i] + (from - o->info), n);
			return true;
		}
	}
	return false;
}

static int read_memory(void *ctx, void *to, uintptr_t from, size_t n)
{
	struct stacks *k = ctx;
	const struct captured *x = k->now;
	if (x && from >= x->lo && n <= x->n && from - x->lo <= x->n - n) {
		memcpy(to, x->stack + (from - x->lo), n);
		return 0;
	}
	if (n == sizeof(struct unwind_site) && read_site(k, to, from, n))
		return 0;
	const struct mapping *m = constant(k, from);
	if (!m || n > PAGE || from + n > m->hi)
		return target_read(k->c->t, from, to, n) ? 0 : -1;
	size_t first = PAGE - (from & (PAGE - 1));
	if (n <= first)
		return read_page(k, m, to, from, n);
	return read_page(k, m, to, from, first) || read_page(k, m, (char *)to + first, from + first, n - first) ? -1 : 0;
}

static bool find_object(void *ctx, uintptr_t pc, struct unwind_object *o)
{
	struct stacks *k = ctx;
	return unwind_find_in(k->objects, k->nobjects, pc, o);
}

static void forget(struct stacks *k)
{
	for (uint32_t i = 0; i < k->nobjects; i++)
		free(k->sites[i]);
	free(k->objects);
	free(k->sites);
	k->objects = NULL;
	k->sites = NULL;
	k->nobjects = k->version = 0;
	for (size_t i = 0; i < PAGES; i++)
		k->pages[i].addr = 0;
	k->space.generation++;
}

static void read_objects(struct stacks *k)
{
	const struct target *t = k->c->t;
	uint32_t n = 0;
	k->objects = loadedcode_read(t, &n, &k->version);
	k->sites = calloc(n + 1, sizeof(*k->sites));
	if (!k->objects || !k->sites) {
		k->version = 0;
		return;
	}
	k->nobjects = n;
	for (uint32_t i = 0; i < n; i++) {
		const struct unwind_object *o = &k->objects[i];
		size_t size = (size_t)o->size * o->stride;
		if (o->kind != UnwindTramp || size > MAX_SITES || !(k->sites[i] = malloc(size)))
			continue;
		if (!target_read(t, o->info, k->sites[i], size)) {
			free(k->sites[i]);
			k->sites[i] = NULL;
		}
	}
}

void stacks_use(struct stacks *k, const struct capture *c)
{
	k->c = c;
	k->now = NULL;
	if (k->version && loadedcode_version(c->t) == k->version)
		return;
	forget(k);
	read_objects(k);
}

struct stacks *stacks_open(void)
{
	struct stacks *k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->pages = calloc(PAGES, sizeof(*k->pages));
	k->space = (struct unwind_space){ read_memory, find_object, k, calloc(1, sizeof(struct unwind_cache)), 0 };
	if (!k->pages || !k->space.cache) {
		stacks_close(k);
		return NULL;
	}
	return k;
}

void stacks_close(struct stacks *k)
{
	if (k->pages)
		forget(k);
	free(k->pages);
	free(k->space.cache);
	free(k);
}

/* --- */

static const char *why_ended(enum unwind_end e)
{
	switch (e) {
	case UnwindNoInfo:
		return "the code here has no unwind information";
	case UnwindBadInfo:
		return "the unwind information here is damaged";
	case UnwindNoMemory:
		return "the stack cannot be read here";
	case UnwindStuck:
		return "the unwind information leads nowhere";
	default:
		return NULL;
	}
}

/* In glibc's clone, where there is no information, and at the outer end of the stack: a new thread begins there. */
static bool is_beginning(const struct stacks *k, const struct unwind *u, const struct g *g)
{
	const struct inspect_header *h = &k->c->t->h;
	bool ours = u->reg[UNWIND_PC] - h->text_lo < h->text_hi - h->text_lo;
	return g && !ours && g->stack_hi - u->reg[UNWIND_SP] < THREAD_TOP;
}

/* The inner frames stay; of the others the last ones do, in a ring. */
static void walk(struct stacks *k, struct unwind *u, const struct g *g, struct stack *out)
{
	const struct inspect_header *h = &k->c->t->h;
	const size_t half = STACK_DEPTH / 2;
	size_t n = 0;
	bool more;
	*out = (struct stack){ .f = k->f };
	do {
		uintptr_t pc = u->reg[UNWIND_PC];
		struct frame *f = n < half ? &k->f[n] : &k->ring[(n - half) % half];
		*f = (struct frame){ pc, !u->exact, pc >= h->text_lo && pc < h->text_hi, u->signal_frame };
		n++;
		more = unwind_step(u);
	} while (more && n < STACK_DEEPEST);
	out->n = n < STACK_DEPTH ? n : STACK_DEPTH;
	out->left_out = n - out->n;
	for (size_t i = half; i < out->n; i++)
		k->f[i] = k->ring[(out->left_out + i - half) % half];
	out->cut = more;
	if (!more && !(u->end == UnwindNoInfo && is_beginning(k, u, g)))
		out->end = why_ended(u->end);
}

static void from_registers(struct unwind *u, struct unwind_space *s, const struct user_regs_struct *r)
{
	const uint64_t reg[UNWIND_REGS] = { r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8,
					    r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip };
	unwind_start(u, s, reg, true);
}

static bool on_g0(const struct capture *c, const struct g *g, const struct stopped *t)
{
	const struct snap_m *m = snapshot_m_at(&c->s, (uintptr_t)g->m);
	return m && t->regs.rsp - (uintptr_t)m->m.g0stack <= m->m.g0size;
}

/* A signal handler that interrupted the scheduler: it stands on the M's signal stack, and what it will return to on g0. */
static bool interrupts_g0(struct stacks *k, const struct g *g, struct unwind *u)
{
	const struct snap_m *m = snapshot_m_at(&k->c->s, (uintptr_t)g->m);
	for (int n = 0; m && n < HANDLER_FRAMES; n++) {
		uintptr_t sp = u->reg[UNWIND_SP];
		if (sp - (uintptr_t)m->m.sigstack > m->m.sigstack_size)
			return sp - (uintptr_t)m->m.g0stack <= m->m.g0size;
		if (!unwind_step(u))
			return false;
	}
	return false;
}

/* False: nothing to begin with. */
static bool begin(struct stacks *k, const struct snap_g *sg, struct unwind *u)
{
	const struct capture *c = k->c;
	const struct g *g = &sg->g;
	const struct captured *x = captured_of(c, sg);
	const struct stopped *t = capture_thread_of(c, g);
	uint32_t st = load_rlx(&g->status);
	k->now = x;
	bool switching = t && on_g0(c, g, t);
	if (t && !switching) {
		from_registers(u, &k->space, &t->regs);
		struct unwind ahead = *u;
		switching = interrupts_g0(k, g, &ahead);
		if (!switching)
			return true;
	}
	/* One that never ran has no frame of a switch that means anything; its entry frame lies above that. */
	bool fresh = (st == Grunnable || switching) && x->has_regs && (uintptr_t)g->regs == g->sp + SWITCH_SIZE;
	if (st == Gsyscall && !t)
		fresh = x->has_regs; /* not stopped, but it has been in that call for a while */
	if (fresh) {
		unwind_from_site(u, &k->space, &x->regs, (uintptr_t)g->regs);
		return true;
	}
	return (st == Gwaiting || st == Grunnable || t) && unwind_from_switch(u, &k->space, g->sp);
}

void stack_of(struct stacks *k, const struct snap_g *g, struct stack *out)
{
	struct unwind u;
	if (captured_of(k->c, g)->early)
		*out = *captured_of(k->c, g)->early;
	else if (begin(k, g, &u))
		walk(k, &u, &g->g, out);
	else
		*out = (struct stack){ .f = k->f, .end = k->c->not_stopped ? "it runs, and was not stopped"
						  : "its kernel thread did not stop in time" };
	k->now = NULL;
}

void stacks_early(struct capture *c, void *arg)
{
	struct stacks *k = arg;
	stacks_use(k, c);
	for (size_t i = 0; i < c->s.ng && c->nthreads; i++) {
		struct stack st, *keep;
		const struct snap_g *g = &c->s.g[i];
		const struct stopped *t = capture_thread_of(c, &g->g);
		const struct captured *x = &c->c[i];
		if (!t || on_g0(c, &g->g, t) || (load_rlx(&g->g.status) == Gsyscall && t->regs.rsp - x->lo < x->n))
			continue;
		stack_of(k, g, &st);
		keep = malloc(sizeof(*keep) + st.n * sizeof(*st.f));
		if (!keep)
			break;
		*keep = st;
		keep->f = (struct frame *)(keep + 1);
		memcpy(keep->f, st.f, st.n * sizeof(*st.f));
		c->c[i].early = keep;
	}
}

void stack_of_context(struct stacks *k, uintptr_t at, struct stack *out)
{
	struct kuc uc;
	struct unwind u;
	if (target_read(k->c->t, at, &uc, sizeof(uc))) {
		unwind_from_kuc(&u, &k->space, &uc);
		walk(k, &u, NULL, out);
	} else {
		*out = (struct stack){ .f = k->f, .end = "its context cannot be read" };
	}
}
