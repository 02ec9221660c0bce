/* cputime.c - how much CPU time a G has used.
 *
 * A run is measured by the time-stamp counter, which costs next to nothing. That goes on where the kernel takes the CPU away from
 * the M, for another process, perhaps for longer than the run was. So each M also knows how much it has counted since it last
 * asked the kernel for the CPU time of its own thread: at the end of a long run, or when the clock of a G is read in one, it
 * asks again, and what was counted and not used is taken from that run. Not from short ones, of which there may be millions a
 * second: what they lose is no longer than they are. A long system call has what is left over, if it gave its P away meanwhile.
 * What the scheduler itself uses hides as much of a loss, so M's that do not come to long runs ask every few milliseconds.
 */
#include "runtime.h"

#define SPIN_READS 16

/* The program has a filter for system calls (seccomp), which may kill for one that the program does not make: it reads its clocks
 * without. Then nothing is known of what others had of the CPU. */
static _Atomic bool filtered;

/* Time by both clocks since the start of the runtime: how fast the time-stamp counter goes. */
struct pace {
	uint64_t ns, ticks;
};

static struct pace pace_now(void)
{
	struct pace p;
	int64_t ns;
	clocks_read(&ns, &p.ticks);
	p.ns = (uint64_t)(ns - sched.start_ns);
	p.ticks -= sched.start_ticks;
	while ((p.ns | p.ticks) >> 31) {
		p.ns >>= 1;
		p.ticks >>= 1;
	}
	return p;
}

/* x * to / from, by a ratio that is 32.32 fixed point. */
static int64_t scaled(uint64_t x, uint64_t to, uint64_t from)
{
	return from ? (int64_t)((unsigned __int128)x * ((to << 32) / from) >> 32) : 0;
}

static int64_t ns_of(struct pace p, uint64_t ticks)
{
	return scaled(ticks, p.ns, p.ticks);
}

/* The kernel thread was not on a CPU for so much of what was counted and of `ran`, if cpu_ns is what it has used. */
static int64_t lost_ns(struct pace p, uint64_t counted, uint64_t ran, int64_t since_ns, int64_t cpu_ns)
{
	int64_t lost = cpu_ns < 0 || since_ns < 0 ? 0 : ns_of(p, counted + ran) - (cpu_ns - since_ns), most = ns_of(p, ran);
	return lost < 0 ? 0 : lost < most ? lost : most;
}

/* What the kernel says that a kernel thread has used; -1: it is not to be asked. */
static int64_t kernel_cputime(int tid)
{
	return load_rlx(&filtered) ? -1 : os_cputime(tid);
}

void cputime_filtered(void)
{
	store_rlx(&filtered, true);
}

static void look_at(struct m *m, int64_t cpu_ns)
{
	m->counted = 0;
	m->cpu_ns = cpu_ns;
	m->cpu_ticks = arch_cputicks();
}

void cputime_look(struct m *m)
{
	look_at(m, kernel_cputime(0));
}

uint64_t cputime_of_long(struct m *m, uint64_t ran, uint64_t if_unknown)
{
	int64_t cpu_ns = kernel_cputime(0), since_ns = m->cpu_ns;
	struct pace p = pace_now();
	int64_t used = scaled((uint64_t)(cpu_ns - since_ns), p.ticks, p.ns) - (int64_t)m->counted;
	look_at(m, cpu_ns);
	if (cpu_ns < 0 || since_ns < 0)
		return if_unknown;
	if (used > (int64_t)ran)
		return ran;
	return used > 0 ? (uint64_t)used : 0;
}

/* The G switches meanwhile, perhaps: what belongs together is read twice. */
struct run {
	uint32_t status;
	uint64_t from, ticks, retaken, counted;
	struct m *m;
	int64_t since_ns;
};

static struct run run_once(struct g *g)
{
	struct m *m = *(struct m *volatile *)&g->m; /* none is ever freed */
	return (struct run){
		.status = load_rlx(&g->status),
		.from = *(volatile uint64_t *)&g->run_start,
		.ticks = *(volatile uint64_t *)&g->cputicks,
		.retaken = load_rlx(&g->retaken),
		.m = m,
		.counted = m ? *(volatile uint64_t *)&m->counted : 0,
		.since_ns = m ? *(volatile int64_t *)&m->cpu_ns : 0,
	};
}

static bool is_same(const struct run *a, const struct run *b)
{
	return a->status == b->status && a->from == b->from && a->ticks == b->ticks && a->m == b->m && a->counted == b->counted &&
	       a->since_ns == b->since_ns;
}

/* In a system call only until its P was taken away. */
static bool is_on_cpu(const struct run *r)
{
	return r->from && (r->status == Grunning || (r->status == Gsyscall && r->retaken <= r->from));
}

/* From the end of a call on, for which its P was taken away, all of it counts; see account_call. */
static bool is_in_run(const struct run *r)
{
	return r->from && (r->status == Grunning || r->status == Gsyscall);
}

/* *cpu_ns: what the kernel says of its M, just before *now; -1: that matters not. */
static struct run run_of(struct g *g, uint64_t *now, int64_t *cpu_ns)
{
	struct run a, b = run_once(g);
	for (int i = 0; i < SPIN_READS; i++) {
		a = b;
		bool may_have_lost = is_in_run(&a) && a.m && arch_cputicks() - a.from > TICKS_LONG;
		*cpu_ns = may_have_lost ? kernel_cputime(a.m->procid) : -1;
		*now = arch_cputicks();
		b = run_once(g);
		if (is_same(&a, &b))
			break;
	}
	return b;
}

static int64_t told(struct g *g, int64_t ns)
{
	int64_t most = load_rlx(&g->cpu_told);
	while (most < ns && !atomic_compare_exchange_weak(&g->cpu_told, &most, ns))
		;
	return most < ns ? ns : most;
}

bool cputime_goes_on(struct g *g)
{
	struct run r = run_once(g);
	return is_on_cpu(&r);
}

/* The caller's own long run is counted up to here, and goes on as another: who reads its clock all the time is to ask the kernel
 * now and then only, also because it is not preempted, nor gets a signal, while it does. */
static void count_own_run(struct g *g)
{
	struct m *m = getm();
	uint64_t now = arch_cputicks(), from = g->run_start;
	if (!m || m->curg != g || load_rlx(&g->status) != Grunning || !from || now - from <= TICKS_LONG)
		return;
	uint64_t used = cputime_of_long(m, now - from, now - from);
	g->run_start = now; /* first: another reader may see one without the other, and what is told never goes back */
	g->cputicks += used;
}

int64_t g_cputime(struct g *g)
{
	uint64_t now, ticks;
	int64_t cpu_ns, lost = 0;
	count_own_run(g);
	struct run r = run_of(g, &now, &cpu_ns);
	struct pace p = pace_now();
	ticks = r.ticks;
	if ((is_on_cpu(&r) || (is_in_run(&r) && cpu_ns >= 0)) && now > r.from) {
		ticks += now - r.from;
		lost = lost_ns(p, r.counted, now - r.from, r.since_ns, cpu_ns);
	} else if (r.from && r.status == Gsyscall && r.retaken > r.from) {
		ticks += r.retaken - r.from;
	}
	return told(g, ns_of(p, ticks) - lost + (g == main_g ? sched.main_cpu_ns : 0));
}
