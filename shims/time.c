/* time.c - sleeping, yielding, and the clocks that belong to a thread. */
#include "../runtime/gs.h"
#include "../runtime/os_linux.h"
#include "shim.h"
#include "sigimpl.h"
#include <linux/time.h>

#define CPUCLOCK_PERTHREAD 4
#define LOOK (4 * NSEC_PER_MSEC)

int64_t deadline_of_walltime(int64_t ns)
{
	int64_t left = ns - os_walltime();
	return left > 0 ? deadline_after(left) : 1;
}

/* Sleeps until `deadline` (monotonic) and writes what is left to rem, if not NULL, when a signal ends it. */
static long sleep_to(int64_t deadline, uintptr_t rem)
{
	if (sleep_until(deadline) == 0)
		return 0;
	int64_t left = deadline - os_nanotime();
	struct ktimespec ts = { left > 0 ? left / NSEC_PER_SEC : 0, left > 0 ? left % NSEC_PER_SEC : 0 };
	if (rem && user_write(rem, &ts, sizeof(ts)))
		return -EFAULT;
	return -ERESTART_RESTARTBLOCK;
}

long shim_nanosleep(struct regs *r)
{
	int64_t ns;
	int err = user_read_timespec(A1(r), &ns);
	if (err)
		return err;
	return sleep_to(deadline_after(ns), A2(r));
}

static long sleep_absolute(int clock, int64_t ns)
{
	int64_t left = ns - os_clock(clock);
	if (left <= 0)
		return 0;
	return sleep_until(deadline_after(left)) ? -ERESTARTNOHAND : 0;
}

/* The thread whose CPU clock this is, for self; NULL: not a thread's clock, or not one of ours. */
struct g *clock_owner(struct g *self, int clock)
{
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return self;
	if (clock >= 0 || !(clock & CPUCLOCK_PERTHREAD) || (clock & 3) == 3)
		return NULL;
	uint32_t tid = ~((uint32_t)clock >> 3) & 0x1fffffff;
	if (tid == 0)
		return self;
	/* The clock id has room for 29 bits of the thread id; ours have bit 29 set. */
	struct g *g = g_by_tid(tid | 1u << 29);
	return g ? g : g_by_tid(tid);
}

/* --- until CPU time has been used --- */

/* Of one of our threads, which the kernel does not know: not before so much time has passed if it runs, and else a look now and
 * then, as for timers (runtime/cputimer.c). One that has ended uses no more. */
static int64_t wait_cpu_of(struct g *owner, uint64_t goid, int64_t until)
{
	for (;;) {
		int64_t now = os_nanotime(), left = until - g_cputime(owner), when = INT64_MAX;
		if (owner->goid == goid && load_acq(&owner->status) != Gdead) {
			if (left <= 0)
				return 0;
			left = left > LOOK ? left : LOOK;
			when = left > INT64_MAX - now ? INT64_MAX : now + left;
		}
		int64_t err = sleep_until(when);
		if (err)
			return err;
	}
}

/* owner NULL: the clock of a process. */
static long wait_cpu(int clock, struct g *owner, uint64_t goid, int64_t until)
{
	struct ktimespec ts = { until / NSEC_PER_SEC, until % NSEC_PER_SEC };
	const long args[6] = { clock, TIMER_ABSTIME, (long)&ts };
	return owner ? wait_cpu_of(owner, goid, until) : blocking_syscall_long(getg(), __NR_clock_nanosleep, args);
}

static int64_t cpu_now(int clock, struct g *owner)
{
	return owner ? g_cputime(owner) : os_clock(clock);
}

/* The time until which to sleep is found once, however often the call is interrupted and made again. */
static long sleep_cpu(const struct regs *r, struct g *owner)
{
	struct g *g = getg();
	uint64_t goid = owner ? owner->goid : 0;
	int clock = (int)A1(r);
	bool absolute = A2(r) & TIMER_ABSTIME;
	int64_t ns;
	int err = user_read_timespec(A3(r), &ns);
	if (err || owner == g)
		return err ? err : -EINVAL;
	int64_t until = g->resumed, now = cpu_now(clock, owner);
	if (!until)
		until = absolute ? ns : ns > INT64_MAX - now ? INT64_MAX : now + ns;
	g->resumed = 0;
	g->deadline = until;
	long ret = wait_cpu(clock, owner, goid, until);
	if (ret != -EINTR)
		return ret;
	if (absolute)
		return -ERESTARTNOHAND;
	int64_t left = until - cpu_now(clock, owner);
	struct ktimespec ts = { left > 0 ? left / NSEC_PER_SEC : 0, left > 0 ? left % NSEC_PER_SEC : 0 };
	return A4(r) && user_write(A4(r), &ts, sizeof(ts)) ? -EFAULT : -ERESTART_RESTARTBLOCK;
}

/* The calling process's. */
static bool is_process_clock(int clock)
{
	uint32_t pid = ~((uint32_t)clock >> 3) & 0x1fffffff;
	if (clock >= 0)
		return clock == CLOCK_PROCESS_CPUTIME_ID;
	return !(clock & CPUCLOCK_PERTHREAD) && (clock & 3) != 3 && (pid == 0 || pid == (uint32_t)sig_pid);
}

long shim_clock_nanosleep(struct regs *r)
{
	int clock = (int)A1(r);
	bool absolute = A2(r) & TIMER_ABSTIME;
	struct g *owner = clock < 0 ? clock_owner(getg(), clock) : NULL;
	if (owner || is_process_clock(clock))
		return sleep_cpu(r, owner);
	int64_t ns;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
		return shim_blocks_long_nohand(r); /* other processes' CPU clocks and errors: the kernel knows */
	int err = user_read_timespec(A3(r), &ns);
	if (err)
		return err;
	return absolute ? sleep_absolute(clock, ns) : sleep_to(deadline_after(ns), A4(r));
}

long shim_sched_yield(struct regs *r)
{
	(void)r;
	goyield();
	return 0;
}

long shim_clock_gettime(struct regs *r)
{
	struct g *g = clock_owner(getg(), (int)A1(r));
	if (!g)
		return shim_raw(r);
	int64_t ns = g_cputime(g);
	struct ktimespec ts = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	return user_write(A2(r), &ts, sizeof(ts)) ? -EFAULT : 0;
}

static const struct ktimespec resolution = { 0, 1 };

long shim_clock_getres(struct regs *r)
{
	if (!clock_owner(getg(), (int)A1(r)))
		return shim_raw(r);
	return A2(r) && user_write(A2(r), &resolution, sizeof(resolution)) ? -EFAULT : 0;
}

/* --- in place of the vDSO's functions, which would ask the kernel for the CPU clock of an M --- */

typedef int vdso_fn(int, struct ktimespec *);
static vdso_fn *real_vdso, *real_vdso_getres;
static long (*libc_syscall)(long, ...);

void time_set_vdso(void *gettime, void *getres, void *syscall)
{
	real_vdso = (vdso_fn *)gettime;
	real_vdso_getres = (vdso_fn *)getres;
	libc_syscall = (long (*)(long, ...))syscall;
}

/* Says the caller's own G, NULL: the kernel knows. Not the program's code: while the M and its G are looked up, and then while
 * the clock is read, the G must not leave that M. */
static __attribute__((noinline)) struct g *read_thread_clock(int clock, int64_t *ns)
{
	struct m *m = gs_m();
	struct g *self = m && !m->foreign ? m->curg : NULL, *g = self ? clock_owner(self, clock) : NULL;
	if (!g)
		return NULL;
	*ns = g_cputime(g);
	return self;
}

/* Called by libc, not through the entry stub: returns 0 or -errno. A kick that came in read_thread_clock has done nothing; so
 * that who reads the clock all the time need not wait until one comes at another place, a call that asks nothing goes through
 * the stub, and at its end the shim looks. */
PROGRAM_TEXT int time_vdso_clock_gettime(int clock, struct ktimespec *ts)
{
	int64_t ns;
	if (likely(clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID))
		return real_vdso(clock, ts);
	struct g *self = read_thread_clock(clock, &ns);
	if (!self)
		return (int)sys2(__NR_clock_gettime, clock, ts);
	*ts = (struct ktimespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
	if (unlikely(load_rlx(&self->interrupt) || load_rlx(&self->preempt)))
		libc_syscall(__NR_rt_sigprocmask, 0, NULL, NULL, 8L);
	return 0;
}

int time_vdso_clock_getres(int clock, struct ktimespec *ts)
{
	if (clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID)
		return real_vdso_getres(clock, ts);
	struct m *m = gs_m();
	if (!m || m->foreign || !clock_owner(m->curg, clock))
		return (int)sys2(__NR_clock_getres, clock, ts);
	if (ts)
		*ts = resolution;
	return 0;
}
