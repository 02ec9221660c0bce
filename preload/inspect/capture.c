/* capture.c - copies what a dump needs while the process stands still: the scheduler's state, registers, the inner ends of
 * the stacks, the locks that are waited for. A few system calls per thousand threads; symbols and unwinding come after
 * the process was let go.
 *
 * What does not fit (the outer frames of deep stacks) is read later from the live process. Those frames are the ones that
 * change least.
 */
#include "capture.h"
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define STACKS_MAX (192UL << 20) /* for all copies together */
#define STACKS_QUICK (16UL << 20) /* may be copied while the process stands still, without a thought */
#define STACK_MOST (1UL << 20)
#define STACK_FAIR 16384UL /* rather longer than that */
#define STACK_LEAST 1024UL
#define BATCH 256

const struct stopped *capture_thread_of(const struct capture *c, const struct g *g)
{
	uint32_t st = load_rlx(&g->status);
	const struct snap_m *m = st == Grunning || st == Gsyscall ? snapshot_m_at(&c->s, (uintptr_t)g->m) : NULL;
	for (size_t i = 0; m && i < c->nthreads; i++)
		if (c->threads[i].tid == m->m.procid)
			return c->threads[i].still ? &c->threads[i] : NULL;
	return NULL;
}

static bool within(uintptr_t at, const void *lo, size_t n)
{
	return at >= (uintptr_t)lo && at - (uintptr_t)lo <= n;
}

/* Where its stack's inner end is: in a register if it runs, in the G if it was switched out. A thread that is in a handler on
 * the M's signal stack, or on g0, has its own stack elsewhere: then from the entry frame on, or from where it left. */
static uintptr_t inner_end(const struct capture *c, const struct g *g)
{
	const struct stopped *t = capture_thread_of(c, g);
	const struct snap_m *m = t ? snapshot_m_at(&c->s, (uintptr_t)g->m) : NULL;
	if (!t)
		return load_rlx(&g->status) == Grunning || load_rlx(&g->status) == Gsyscall ? (uintptr_t)g->regs : g->sp;
	if (within(t->regs.rsp, m->m.sigstack, m->m.sigstack_size))
		return (uintptr_t)g->regs;
	if (within(t->regs.rsp, m->m.g0stack, m->m.g0size))
		return g->sp;
	return t->regs.rsp;
}

static size_t most_of_each(size_t n)
{
	size_t quick = STACKS_QUICK / (n + 1), each = STACKS_MAX / (n + 1);
	if (each > STACK_FAIR)
		each = quick > STACK_FAIR ? quick : STACK_FAIR;
	return each > STACK_MOST ? STACK_MOST : each < STACK_LEAST ? STACK_LEAST : each;
}

/* Pieces one after the other in few calls: a call ends at the first that cannot be read whole. */
static void copy_stacks(struct capture *c)
{
	size_t n = c->s.ng, each = most_of_each(n);
	for (size_t i = 0; i < n;) {
		struct iovec l[BATCH], r[BATCH];
		struct captured *who[BATCH];
		int k = 0;
		for (; i < n && k < BATCH; i++) {
			const struct g *g = &c->s.g[i].g;
			uintptr_t lo = inner_end(c, g), hi = g->stack_hi;
			size_t size = hi > lo && hi - lo < each ? hi - lo : each;
			struct captured *x = &c->c[i];
			if ((c->wanted && !c->wanted[i]) || !lo || !(x->stack = malloc(size)))
				continue;
			x->lo = lo;
			l[k] = (struct iovec){ x->stack, size };
			r[k] = (struct iovec){ (void *)lo, size };
			who[k++] = x;
		}
		ssize_t got = k ? process_vm_readv(c->t->pid, l, (unsigned long)k, r, (unsigned long)k, 0) : 0;
		for (int j = 0; j < k; j++) {
			size_t whole = got > 0 ? (size_t)got < l[j].iov_len ? (size_t)got : l[j].iov_len : 0;
			got -= (ssize_t)whole;
			if (whole < l[j].iov_len)
				whole = target_read_some(c->t, who[j]->lo, who[j]->stack, l[j].iov_len);
			who[j]->n = whole;
		}
	}
}

static void copy_piece(struct capture *c, uintptr_t (*where)(const struct g *), size_t offset, size_t flag, size_t size)
{
	size_t n = c->s.ng, k = 0;
	uintptr_t *addr = calloc(n + 1, sizeof(*addr));
	void **buf = calloc(n + 1, sizeof(*buf));
	bool *ok = calloc(n + 1, sizeof(*ok));
	size_t *who = calloc(n + 1, sizeof(*who));
	for (size_t i = 0; addr && buf && ok && who && i < n; i++) {
		uintptr_t at = where(&c->s.g[i].g);
		struct captured *x = &c->c[i];
		if (!at || (c->wanted && !c->wanted[i]))
			continue;
		if (at >= x->lo && size <= x->n && at - x->lo <= x->n - size) {
			memcpy((char *)x + offset, x->stack + (at - x->lo), size);
			*(bool *)((char *)x + flag) = true;
			continue;
		}
		addr[k] = at;
		buf[k] = (char *)x + offset;
		who[k++] = i;
	}
	if (k)
		target_read_many(c->t, addr, buf, k, size, ok);
	for (size_t j = 0; j < k; j++)
		*(bool *)((char *)&c->c[who[j]] + flag) = ok[j];
	free(addr);
	free(buf);
	free(ok);
	free(who);
}

static uintptr_t regs_of(const struct g *g)
{
	return load_rlx(&g->inshim) ? (uintptr_t)g->regs : 0;
}

static uintptr_t near_of(const struct g *g)
{
	bool futex = g->waitreason == WaitFutex || g->waitreason == WaitFutexPI;
	return load_rlx(&g->status) == Gwaiting && futex && g->wait_addr > NEAR_BEFORE ? g->wait_addr - NEAR_BEFORE : 0;
}

bool capture_near(const struct captured *c, int offset, void *to, size_t n)
{
	int at = NEAR_BEFORE + offset;
	if (!c->has_near || at < 0 || (size_t)at + n > NEAR_SIZE)
		return false;
	memcpy(to, c->near + at, n);
	return true;
}

static bool copy(struct capture *c)
{
	c->c = calloc(c->s.ng + 1, sizeof(*c->c));
	if (!c->c)
		return false;
	copy_stacks(c);
	copy_piece(c, regs_of, offsetof(struct captured, regs), offsetof(struct captured, has_regs), sizeof(struct regs));
	copy_piece(c, near_of, offsetof(struct captured, near), offsetof(struct captured, has_near), NEAR_SIZE);
	return true;
}

struct look {
	struct capture *c;
	capture_early early;
	void *arg;
	bool ok;
};

static void look(const struct stop *st, void *arg)
{
	struct look *l = arg;
	struct capture *c = l->c;
	c->not_stopped = st->n ? NULL : st->why ? st->why : "it was not asked for";
	if (st->n && (c->threads = malloc(st->n * sizeof(*c->threads)))) {
		memcpy(c->threads, st->t, st->n * sizeof(*c->threads));
		c->nthreads = st->n;
	}
	l->ok = snapshot_take(c->t, &c->s) && copy(c);
	if (l->ok && l->early)
		l->early(c, l->arg);
}

bool capture_take(const struct target *t, bool still, capture_early early, void *arg, struct capture *c)
{
	struct look l = { c, early, arg, false };
	memset(c, 0, sizeof(*c));
	c->t = t;
	c->fds = fds_open(t->pid);
	if (still)
		c->stopped_ns = stop_run(t->pid, look, &l);
	else
		look(&(struct stop){ 0 }, &l);
	if (!l.ok)
		capture_free(c);
	return l.ok;
}

bool capture_some(const struct target *t, const struct snapshot *s, const bool *wanted, struct capture *c)
{
	*c = (struct capture){ .t = t, .s = *s, .wanted = wanted, .not_stopped = "it was not asked for",
				.fds = fds_open(t->pid) };
	bool ok = copy(c);
	if (!ok)
		capture_release(c);
	return ok;
}

static void free_copies(struct capture *c)
{
	for (size_t i = 0; c->c && i < c->s.ng; i++) {
		free(c->c[i].stack);
		free(c->c[i].early);
	}
	free(c->c);
	free(c->threads);
	fds_close(c->fds);
}

void capture_release(struct capture *c)
{
	free_copies(c);
	memset(c, 0, sizeof(*c));
}

void capture_free(struct capture *c)
{
	free_copies(c);
	snapshot_free(&c->s);
	memset(c, 0, sizeof(*c));
}
