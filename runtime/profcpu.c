/* profcpu.c - the CPU profile: each M has a timer on its own CPU clock that interrupts it.
 *
 * The timer sends the preempt signal to its M with a value that only we use, so no signal of the program's own is taken
 * and SIGPROF and setitimer stay the program's. The handler unwinds what it interrupted and counts; it takes no lock and
 * waits for nobody. A tick that comes late stands for as many as the kernel says (overrun).
 *
 * Each M makes and drops its timer itself: when it starts, or when a signal tells it that profiling begins or ends. So
 * nobody needs a list of M's that does not change.
 *
 * What runs on an M's own stack is the scheduler's and no G's.
 */
#include "prof.h"
#include "objtab.h"
#include "sigframe.h"
#include "sigimpl.h"

#define CLOCK_MONO 1
#define CLOCK_THREAD_CPU 3
#define NOTIFY_THREAD_ID 4

struct ksigevent {
	uint64_t value;
	int32_t signo, notify, tid, pad[11];
};
_Static_assert(sizeof(struct ksigevent) == 64, "struct sigevent");

/* Only their addresses matter. */
static char tick_token, tell_token, wall_token, ask_token;

static uint64_t token(const char *c)
{
	return (uint64_t)(uintptr_t)c;
}

/* Its id, or < 0. */
static int make_timer(int clock, int tid, uint32_t rate, const char *what)
{
	int64_t period = NSEC_PER_SEC / (rate ? rate : 1), s = period / NSEC_PER_SEC, ns = period % NSEC_PER_SEC;
	const struct ksigevent ev = { .value = token(what), .signo = preempt_signal, .notify = NOTIFY_THREAD_ID, .tid = tid };
	const int64_t spec[4] = { s, ns, s, ns };
	int id;
	if (sys3(__NR_timer_create, clock, &ev, &id))
		return -1;
	sys4(__NR_timer_settime, id, 0, spec, 0);
	return id;
}

void prof_timer_delete(int id)
{
	sys1(__NR_timer_delete, id);
}

int prof_wall_timer(int tid, uint32_t rate)
{
	return make_timer(CLOCK_MONO, tid, rate, &wall_token);
}

void prof_m_stop(struct m *m)
{
	if (m->prof_timer)
		prof_timer_delete(m->prof_timer - 1);
	m->prof_timer = 0;
}

void prof_m_start(struct m *m)
{
	prof_m_stop(m); /* perhaps of another rate */
	if (load_rlx(&inspect_flags) & InspectProf)
		m->prof_timer = make_timer(CLOCK_THREAD_CPU, m->procid, prof.kind[ProfCpu].rate, &tick_token) + 1;
}

static void send(int tid, const char *what, uint32_t n)
{
	struct ksiginfo info = { .signo = preempt_signal, .code = CODE_QUEUE };
	info.pid = os_getpid();
	info.uid = n;
	info.value = token(what);
	sys4(__NR_rt_tgsigqueueinfo, os_getpid(), tid, preempt_signal, &info);
}

/* Their ids first: system calls are not made under the lock. */
void prof_tell_all(void)
{
	lock(&sched.lock);
	uint32_t cap = sched.nm + 8, n = 0;
	unlock(&sched.lock);
	int *tid = os_mmap(cap * sizeof(*tid));
	if (!tid)
		return;
	lock(&sched.lock);
	for (struct m *m = sched.allm; m && n < cap; m = m->alllink)
		if (m->procid)
			tid[n++] = m->procid;
	unlock(&sched.lock);
	for (uint32_t i = 0; i < n; i++)
		send(tid[i], &tell_token, 0);
	os_munmap(tid, cap * sizeof(*tid));
}

void prof_wall_ask(int tid, uint32_t n)
{
	send(tid, &ask_token, n);
}

bool prof_is_signal(const struct ksiginfo *info)
{
	uint64_t v = info->value;
	if (info->code == CODE_TIMER)
		return v == token(&tick_token) || v == token(&wall_token);
	return info->code == CODE_QUEUE && info->pid == os_getpid() && (v == token(&tell_token) || v == token(&ask_token));
}

static bool on_own_stack(const struct m *m, uintptr_t sp)
{
	return sp - (uintptr_t)m->g0stack <= m->g0size || sp - (uintptr_t)m->sigstack <= m->sigstack_size;
}

/* A tick and a preemption, or a signal of the program's, are often taken one right after the other: as the kernel thread gets its CPU
 * back, for instance. The tick then finds a handler of which no instruction has run. What it meant is what that one interrupted. */
static void skip_new_handlers(struct unwind *u)
{
	uint64_t ret;
	while (u->exact && arch_user_load64((const void *)u->reg[UNWIND_SP], &ret) == 0 &&
	       ret == (uintptr_t)preloom_sigreturn)
		if (!unwind_step(u) || !unwind_step(u))
			return;
}

static void sample(enum prof_type t, struct m *m, const struct kuc *uc, uint64_t n)
{
	bool own = !m->curg || on_own_stack(m, uc->sp);
	uint32_t state = own ? ProfScheduler : m->p ? ProfRunning : ProfSyscall;
	struct unwind u;
	unwind_from_kuc(&u, &unwind_self, uc);
	skip_new_handlers(&u);
	prof_count(t, prof_stack_of(&u, false), own ? 0 : prof_label_of(m->curg), state, n,
		   n * (uint64_t)NSEC_PER_SEC / prof.kind[t].rate);
}

void prof_signal(struct m *m, const struct ksiginfo *info, const struct kuc *uc)
{
	uint32_t n = 1 + (info->code == CODE_TIMER && info->overrun > 0 ? (uint32_t)info->overrun : 0);
	if (info->value == token(&tell_token))
		prof_m_start(m);
	else if (info->value == token(&wall_token))
		prof_wall_rings(n);
	else if (info->value == token(&tick_token) && inspecting(InspectProf))
		sample(ProfCpu, m, uc, n);
	else if (info->value == token(&ask_token) && inspecting(InspectWall) && m->curg)
		sample(ProfWall, m, uc, info->uid);
}
