/* thread.c - birth and death of G's.
 *
 * A new G is laid out so that its first switch finishes the clone call of its parent: a copy of the parent's entry
 * frame at the top of the new stack, result 0. A G that ends leaves its stack first; only on g0 the word that
 * pthread_join waits for is cleared, because from then on the stack may be somebody else's.
 */
#include "ending.h"
#include "futex.h"
#include "prof.h"
#include "tracebuf.h"

/* Stacks lie at multiples of a page (mostly of 8 MiB), so their tops would share a few cache sets: shift them. */
#define COLOURS 16
#define COLOUR_STEP 128
#define MIN_STACK_FOR_COLOUR (256u << 10)

/* pthread_create leaves nothing above the stack pointer that it gives; others may. */
static uintptr_t coloured(struct g *g, uintptr_t sp, size_t size)
{
	if (size < MIN_STACK_FOR_COLOUR || !getg()->spawn_at)
		return sp;
	return sp - g->slot % COLOURS * COLOUR_STEP;
}

struct g *thread_new(const struct regs *parent, uintptr_t sp, uintptr_t fs, size_t stack_size)
{
	struct g *self = getg(), *g = g_new();
	if (!g)
		return NULL;
	sp = coloured(g, sp, stack_size);
	struct regs *r = (struct regs *)(sp - RED_ZONE - sizeof(*r));
	*r = *parent;
	/* What arch_gogo pops, see SWITCH_SIZE: only the floating-point control words matter. */
	uintptr_t frame = (uintptr_t)r - SWITCH_SIZE;
	uint64_t *words = (uint64_t *)frame;
	for (size_t i = 0; i < SWITCH_SIZE / 8; i++)
		words[i] = 0;
	words[SWITCH_FPCTL / 8] = arch_fpctl();
	words[SWITCH_RET / 8] = (uint64_t)arch_thread_entry;
	g->sp = frame;
	g->fs = fs;
	g->gs = self->gs;
	g->inshim = 1;
	g->regs = r;
	g->parent_goid = self->goid;
	g->entry = self->spawn_entry;
	g->created_at = self->spawn_at ? self->spawn_at : parent->ret;
	g->created_above = self->spawn_above;
	g->created_through = self->spawn_through;
	for (int i = 0; i < GNAME_LEN; i++)
		g->name[i] = self->name[i];
	sig_g_init(g, self);
	return g;
}

/* Makes a finished G runnable. */
void thread_start(struct g *g)
{
	atomic_fetch_add_explicit(&sched.ngs, 1, memory_order_relaxed);
	g->wait_ticks = arch_cputicks();
	if (tracing())
		trace_created(g);
	if (inspecting(InspectThread))
		prof_thread_born(g);
	g_setstatus(g, Gidle, Grunnable);
	thread_launch(g);
}

static void exit_m(struct g *g)
{
	struct m *m = getm();
	uintptr_t clear = g->clear_tid;
	g_off_cpu(m, g);
	if (tracing())
		trace_exit(g);
	if (unlikely(g->prof_birth))
		prof_thread_dead(g);
	g_setstatus(g, Grunning, Gdead);
	m->curg = NULL;
	if (g->lockedm) {
		/* What was changed on this kernel thread must not reach another G: it ends (m_retire). */
		g->lockedm = NULL;
		m->lockedg = NULL;
		m->tainted = true;
	}
	g_free(g);
	if (clear && arch_user_store32((void *)clear, 0) == 0) {
		futex_wake(clear, 1, ~0u);
		/* Who joins waits there if the stack is in memory that may be shared. */
		if (unlikely(load_rlx(&futex_by_kernel) || !stack_contains(clear)))
			os_futex_wake_shared(clear, 1);
	}
	if (m->tainted)
		m_retire();
	schedule();
}

_Noreturn void thread_exit(int code)
{
	struct g *g = getg();
	robust_exit(g);
	sig_g_exit(g);
	if (g == main_g)
		sched.main_exit_code = code;
	if (atomic_fetch_sub(&sched.ngs, 1) == 1) {
		stats_print();
		process_ending();
		os_exit_process(sched.main_exit_code);
	}
	arch_mcall(exit_m);
	throw("thread_exit: a dead G runs");
}
