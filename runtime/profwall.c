/* profwall.c - the wall-clock profile: what all threads do, whether they run or wait.
 *
 * A timer wakes sysmon, which looks at the G's: one that waits is unwound from the frame in which it entered the system
 * call, one that is runnable from where it was switched out, and one that runs gets a signal and is unwound by the handler.
 * A G may go on while it is looked at: what was read of its stack is then thrown away, and it is taken for one that
 * runs.
 *
 * With very many G's a tick looks at a part of them, in turn, and each look stands for the others.
 */
#include "prof.h"
#include "objtab.h"
#include "sigimpl.h"

#define AT_ONCE 2048

static uint32_t turn;
static int timer; /* 1 + its id; sysmon's */
static _Atomic uint32_t due;

void prof_wall_rings(uint32_t n)
{
	atomic_fetch_add(&due, n);
	sysmon_nudge();
}

/* The G's state as far as unwinding it goes; false: it is not to be looked at like that. */
static bool unwind_parked(struct g *g, uint32_t status, struct unwind *u, uint32_t *state)
{
	struct regs r;
	uintptr_t at = (uintptr_t)g->regs;
	switch (status) {
	case Gwaiting:
	case Gsyscall:
		*state = status == Gsyscall ? ProfSyscall : g->waitreason;
		if (arch_user_copy(&r, (const void *)at, sizeof(r)))
			return false;
		unwind_from_site(u, &unwind_self, &r, at);
		return true;
	case Grunnable:
		*state = ProfRunnable;
		return unwind_from_switch(u, &unwind_self, g->sp);
	default:
		return false;
	}
}

static void look_at(struct g *g, uint64_t n, uint64_t ns)
{
	uint32_t status = load_acq(&g->status), state;
	uint64_t switches = g->switches, goid = g->goid;
	struct unwind u;
	if (status == Gdead || status == Gidle)
		return;
	if (status != Grunning && unwind_parked(g, status, &u, &state)) {
		uint32_t stack = prof_stack_of(&u, true);
		atomic_thread_fence(memory_order_acquire);
		if (load_acq(&g->status) == status && g->switches == switches && g->goid == goid) {
			prof_count(ProfWall, stack, prof_label_of(g), state, n, n * ns);
			return;
		}
	}
	struct m *m = g->m;
	if (m && load_acq(&g->status) == Grunning)
		prof_wall_ask(m->procid, (uint32_t)n);
}

static void look(uint64_t n)
{
	uint32_t count = g_count(), step = (count + AT_ONCE - 1) / AT_ONCE;
	uint64_t ns = (uint64_t)NSEC_PER_SEC / prof.kind[ProfWall].rate;
	if (n > prof.kind[ProfWall].rate) /* stopped for a second and more: that is not the program's time */
		n = 1;
	turn++;
	for (uint32_t i = turn % (step ? step : 1); i < count; i += step) {
		struct g *g = g_at(i);
		if (g)
			look_at(g, n * step, ns);
	}
}

void prof_wall_work(void)
{
	if (!inspecting(InspectWall)) {
		if (timer)
			prof_timer_delete(timer - 1);
		timer = 0;
		return;
	}
	if (!timer) {
		store_rlx(&due, 0);
		timer = prof_wall_timer(getm()->procid, prof.kind[ProfWall].rate) + 1;
		return;
	}
	uint32_t n = atomic_exchange(&due, 0);
	if (n)
		look(n);
}

void prof_wall_after_fork(void)
{
	timer = 0;
}
