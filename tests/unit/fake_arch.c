/* fake_arch.c - arch.h for the unit tests: G's and M's as coroutines in one thread.
 *
 * Written in C, with _setjmp, so that the sanitizers can be told of each change of stack. As in the real switch, an M's
 * own stack (g0) begins anew with each arch_mcall, and arch_gogo abandons it.
 */
#include "unit.h"
#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, lo, size) ((void)0)
#define __sanitizer_finish_switch_fiber(save, lo, size) ((void)0)
#define __asan_unpoison_memory_region(p, n) ((void)0)
#endif

#define G_STACK (128u << 10)
#define FAULTS_BELOW 4096 /* addresses that count as unmapped */

/* What the test knows of a G, by slot. */
struct fake_g {
	uint64_t goid; /* another one than the G's: that was an earlier user of the slot */
	struct fake_ctx ctx;
	char *stack;
	void (*fn)(void *);
	void *arg;
	uint64_t calls, done;
};
#define FAKE_GS 4096
static struct fake_g gs[FAKE_GS];

static struct fake_ctx test_ctx;
static struct fake_m *as; /* whom direct calls of the test pass for */

/* --- switching --- */

static struct fake_ctx *came_from;
static const void *cur_lo;
static size_t cur_size;
static void (*first)(void);

static void arrived(void *asan)
{
	const void *lo = NULL;
	size_t size = 0;
	__sanitizer_finish_switch_fiber(asan, &lo, &size);
	(void)asan;
	/* The first departure is from the thread's own stack, whose bounds only the sanitizer knows. */
	if (came_from && !came_from->lo) {
		came_from->lo = lo;
		came_from->size = size;
	}
}

static void begin(void)
{
	arrived(NULL);
	first();
	ck_abort_msg("a first function came back");
}

/* from NULL: the stack is abandoned. */
static void switch_to(struct fake_ctx *from, struct fake_ctx *to)
{
	static ucontext_t uc;
	if (from) {
		from->lo = cur_lo;
		from->size = cur_size;
		from->entry = NULL;
		if (_setjmp(from->at)) {
			arrived(from->asan);
			return;
		}
	}
	came_from = from;
	cur_lo = to->lo;
	cur_size = to->size;
	__sanitizer_start_switch_fiber(from ? &from->asan : NULL, to->lo, to->size);
	if (!to->entry)
		_longjmp(to->at, 1);
	first = to->entry;
	to->entry = NULL;
	getcontext(&uc);
	uc.uc_stack.ss_sp = (void *)(uintptr_t)to->lo;
	uc.uc_stack.ss_size = to->size;
	uc.uc_link = NULL;
	makecontext(&uc, begin, 0);
	setcontext(&uc);
}

/* --- G's --- */

/* A G does what it is told, then its M waits for the next order. */
static void g_main(void)
{
	for (;;) {
		struct fake_g *fg = &gs[getg()->slot];
		if (fg->calls != fg->done) {
			fg->fn(fg->arg);
			fg->done++;
		}
		fake_suspend(MUser);
	}
}

static struct fake_g *fake_g_of(struct g *g)
{
	ck_assert_uint_lt(g->slot, FAKE_GS);
	struct fake_g *fg = &gs[g->slot];
	if (fg->goid != g->goid) {
		if (!fg->stack)
			fg->stack = os_mmap(G_STACK);
		/* Its last user, now dead, went away without returning. */
		__asan_unpoison_memory_region(fg->stack, G_STACK);
		fg->goid = g->goid;
		fg->calls = fg->done = 0;
		fg->ctx = (struct fake_ctx){ .entry = g_main, .lo = fg->stack, .size = G_STACK };
	}
	return fg;
}

void fake_first(struct g *g, void (*fn)(void *), void *arg)
{
	struct fake_g *fg = fake_g_of(g);
	fg->fn = fn;
	fg->arg = arg;
	fg->calls++;
}

bool fake_call(struct g *g, void (*fn)(void *), void *arg)
{
	struct fake_g *fg = fake_g_of(g);
	struct fake_m *fm = g->m ? fake_of(g->m) : NULL;
	uint64_t goid = g->goid, calls = fg->calls + 1;
	if (!fm || fm->m->curg != g || fm->state != MUser)
		ck_abort_msg("fake_call: the G does not compute on an M");
	fake_first(g, fn, arg);
	fake_step(fm);
	return fg->goid == goid && fg->done == calls;
}

static void (*mcall_fn)(struct g *);
static struct g *mcall_g;

static void mcall_entry(void)
{
	mcall_fn(mcall_g);
	ck_abort_msg("the function of an mcall came back");
}

void arch_mcall(void (*fn)(struct g *))
{
	struct m *m = getm();
	/* Its last user went away without returning. */
	__asan_unpoison_memory_region(m->g0stack, m->g0size);
	struct fake_ctx g0 = { .entry = mcall_entry, .lo = m->g0stack, .size = m->g0size };
	mcall_fn = fn;
	mcall_g = m->curg;
	switch_to(&fake_g_of(m->curg)->ctx, &g0);
}

void arch_gogo(struct g *g)
{
	struct m *m = getm();
	ck_assert_ptr_eq(m->curg, g);
	ck_assert_ptr_eq(g->m, m);
	ck_assert_ptr_nonnull(m->p);
	switch_to(NULL, &fake_g_of(g)->ctx);
}

/* --- M's --- */

struct fake_m *fake_of(const struct m *m)
{
	for (int i = 0; i < fake.nms; i++)
		if (fake.ms[i].m == m && fake.ms[i].state != MGone)
			return &fake.ms[i];
	ck_abort_msg("no such M");
	return NULL;
}

void fake_suspend(enum fake_state s)
{
	struct fake_m *fm = fake.running;
	if (!fm)
		ck_abort_msg("the test itself would wait");
	fm->state = s;
	switch_to(&fm->ctx, &test_ctx);
}

static void m_main(void)
{
	m_start(fake.running->m);
}

static bool runnable(const struct fake_m *fm)
{
	switch (fm->state) {
	case MNew:
		return true;
	case MAsleep:
		return fm->woken || (fm->until >= 0 && fm->until <= fake.now);
	case MPolling:
		return fake.net.n || fake.net_broken || (fm->until >= 0 && fm->until <= fake.now);
	default:
		return false;
	}
}

static void resume(struct fake_m *fm)
{
	if (fake.running)
		ck_abort_msg("an M cannot run another M");
	if (fm->state == MNew)
		fm->ctx = (struct fake_ctx){ .entry = m_main, .lo = fm->m->g0stack, .size = fm->m->g0size };
	fake.running = fm;
	arch_set_gs(fm->m);
	switch_to(&test_ctx, &fm->ctx);
	fake.running = NULL;
	arch_set_gs(as ? as->m : NULL);
}

bool fake_step(struct fake_m *fm)
{
	if (fm->state == MUser) {
		struct fake_g *fg = fake_g_of(fm->m->curg);
		if (fg->calls == fg->done)
			return false;
	} else if (!runnable(fm)) {
		return false;
	}
	resume(fm);
	return true;
}

void fake_return(struct fake_m *fm, long result)
{
	ck_assert_int_eq(fm->state, MCall);
	fm->result = result;
	resume(fm);
}

void fake_settle(void)
{
	int quiet = 0;
	for (int steps = 0; quiet < fake.nms; steps++) {
		int i = steps % fake.nms;
		if (fake.seed) {
			fake.seed = fake.seed * 1664525u + 1013904223u;
			i = (int)((fake.seed >> 8) % (uint32_t)fake.nms);
			if (!runnable(&fake.ms[i]))
				for (i = 0; i < fake.nms - 1 && !runnable(&fake.ms[i]); i++)
					;
		}
		if (steps > 1000000)
			ck_abort_msg("the M's do not come to rest");
		if (fake_step(&fake.ms[i]))
			quiet = 0;
		else
			quiet++;
	}
}

void fake_until(int64_t t)
{
	for (;;) {
		int64_t next = t;
		fake_settle();
		for (int i = 0; i < fake.nms; i++) {
			struct fake_m *fm = &fake.ms[i];
			if ((fm->state == MAsleep || fm->state == MPolling) && fm->until >= 0 && fm->until < next)
				next = fm->until;
		}
		if (fake.now >= t)
			return;
		fake.now = next;
	}
}

void fake_on(struct fake_m *fm)
{
	as = fm;
	arch_set_gs(fm ? fm->m : NULL);
}

/* What getm finds in a thread without an M. */
static struct {
	struct m *self;
} no_m;

uintptr_t arch_get_gs(void)
{
	return (uintptr_t)getm();
}

void arch_set_gs(void *m)
{
	syscall(SYS_arch_prctl, ARCH_SET_GS, m ? m : (void *)&no_m);
}

void fake_start(int gomaxprocs)
{
	rt_opt.deadlock = false; /* tests make waiting G's by hand */
	fake_on(NULL);
	futex_reset();
	sched_init(gomaxprocs);
	fake.ms[0] = (struct fake_m){ .m = &m0, .state = MUser };
	fake.nms = 1;
	fake.ms[0].ctx = fake_g_of(main_g)->ctx;
	fake_on(&fake.ms[0]);
}

/* --- the rest of arch.h --- */

uint8_t arch_has_fsgsbase, arch_gs_shared;
const char arch_thread_entry[1];
const char arch_leave_begin[1], arch_leave_end[1];
long (*arch_leave_slow)(struct regs *r, long ret);

uint64_t arch_get_fs(void)
{
	return 0;
}

void arch_set_fs(uint64_t base)
{
	(void)base;
}

long arch_blocking_syscall(long nr, const long args[6], const _Atomic uint32_t *stop)
{
	struct fake_m *fm = fake.running;
	(void)args;
	if (load_acq(stop))
		return -513;
	fm->nr = nr;
	fake_suspend(MCall);
	return fm->result;
}

_Noreturn void arch_munmap_exit(void *stack, size_t size)
{
	(void)stack;
	(void)size;
	store_rlx(&fake.running->m->lives, 0);
	for (;;)
		fake_suspend(MGone);
}

int64_t arch_user_read32(const void *p)
{
	return (uintptr_t)p < FAULTS_BELOW ? -14 : (int64_t)load_rlx((const _Atomic uint32_t *)p);
}

int arch_user_load32(const void *p, uint32_t *v)
{
	if ((uintptr_t)p < FAULTS_BELOW)
		return -14;
	*v = load_rlx((const _Atomic uint32_t *)p);
	return 0;
}

int arch_user_load64(const void *p, uint64_t *v)
{
	if ((uintptr_t)p < FAULTS_BELOW)
		return -14;
	*v = *(const uint64_t *)p;
	return 0;
}

int arch_user_store32(void *p, uint32_t v)
{
	if ((uintptr_t)p < FAULTS_BELOW)
		return -14;
	store_rlx((_Atomic uint32_t *)p, v);
	return 0;
}

int arch_user_cmpxchg32(void *p, uint32_t *expected, uint32_t desired)
{
	if ((uintptr_t)p < FAULTS_BELOW)
		return -14;
	return atomic_compare_exchange_strong((_Atomic uint32_t *)p, expected, desired);
}

int arch_user_copy(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst < FAULTS_BELOW || (uintptr_t)src < FAULTS_BELOW)
		return -14;
	__builtin_memcpy(dst, src, n);
	return 0;
}

/* 0 is no time. */
uint64_t fake_cputicks(void)
{
	return 1 + (uint64_t)fake.now * FAKE_TICKS_PER_USEC / NSEC_PER_USEC;
}
