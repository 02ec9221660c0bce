/* timer.c - POSIX timers and ITIMER_REAL. SIGEV_THREAD_ID names a G, which the kernel does not know; a timer that is faster
 * than its signals are taken is held. See runtime/sigtimer.c.
 */
#include "shim.h"
#include "sigimpl.h"

#define SIGEV_SIGNAL 0
#define SIGEV_NONE 1
#define SIGEV_THREAD_ID 4
#define ITIMER_REAL 0
#define CLOCK_THREAD_CPUTIME_ID 3
#define CPUCLOCK_PERTHREAD 4
#define OWN_CPUCLOCK (-8) /* of thread 0, which is the caller; its kind in the lowest bits */

struct ksigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};
_Static_assert(sizeof(struct ksigevent) == 64, "sigevent");

/* A clock of the caller's own CPU time, in the form that the kernel understands; 0: it is none. */
static int own_cpuclock(int clock)
{
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return clock;
	uint32_t tid = ~(uint32_t)(clock >> 3);
	bool own = clock < 0 && (clock & CPUCLOCK_PERTHREAD) && (tid == 0 || tid == getg()->tid);
	return own ? OWN_CPUCLOCK | (clock & 7) : 0;
}

static long create(struct regs *r, const struct ksigevent *ev, struct g *g)
{
	int id, clock = own_cpuclock((int)A1(r));
	/* Nobody blocks it in the kernel: it must come to us from the first expiry on. */
	if (g && ev->signo > 0 && ev->signo <= NSIG_ALL)
		sig_note_blocked(sigbit(ev->signo));
	if (clock)
		shim_wire("a timer of the thread's CPU time");
	else
		clock = (int)A1(r);
	long ret = sys3(__NR_timer_create, clock, ev, &id);
	if (ret)
		return ret;
	sig_timer_add(id, clock, ev->signo, g);
	if (user_write(A3(r), &id, sizeof(id))) {
		sys1(__NR_timer_delete, id);
		sig_timer_del(sig_timer_find(id));
		return -EFAULT;
	}
	return 0;
}

long shim_timer_create(struct regs *r)
{
	struct ksigevent ev = { .signo = SIGALRM, .notify = SIGEV_SIGNAL };
	struct g *g = NULL;
	if (A2(r) && user_read(&ev, A2(r), sizeof(ev)))
		return -EFAULT;
	if (ev.notify == SIGEV_THREAD_ID) {
		g = g_by_tid((uint32_t)ev.tid);
		if (!g)
			return -EINVAL;
		ev.notify = SIGEV_SIGNAL;
	}
	return ev.notify == SIGEV_SIGNAL && A2(r) ? create(r, &ev, g) : shim_raw(r);
}

long shim_timer_delete(struct regs *r)
{
	struct sigtimer *t = sig_timer_find((int)A1(r));
	long ret = shim_raw(r);
	if (ret == 0 && t)
		sig_timer_del(t);
	return ret;
}

/* Makes the call, which sets the timer anew. True: it was held, and left says what was left of it. */
static bool restart(struct regs *r, struct sigtimer *t, int64_t left[4], long *ret)
{
	uint64_t mask = sig_timers_lock();
	bool held = sig_timer_is_held(t);
	if (held)
		sig_timer_get(t, left);
	*ret = shim_raw(r);
	if (*ret >= 0)
		sig_timer_restarted(t);
	sig_timers_unlock(mask);
	return held;
}

/* The kernel has written to `old` what was left, unless it was held. */
static long set(struct regs *r, struct sigtimer *t, uintptr_t old)
{
	int64_t left[4];
	long ret;
	bool held = restart(r, t, left, &ret);
	return ret == 0 && held && old && user_write(old, left, sizeof(left)) ? -EFAULT : ret;
}

static long get(struct regs *r, struct sigtimer *t, uintptr_t to)
{
	int64_t left[4];
	uint32_t n = sig_timer_nholds(t);
	if (likely(!(n & 1) && !sig_timer_is_held(t))) {
		long direct = shim_raw(r);
		if (likely(n == sig_timer_nholds(t)))
			return direct;
	}
	uint64_t mask = sig_timers_lock();
	bool held = sig_timer_is_held(t);
	long ret = 0;
	if (held)
		sig_timer_get(t, left);
	else
		ret = shim_raw(r);
	sig_timers_unlock(mask);
	return held && user_write(to, left, sizeof(left)) ? -EFAULT : ret;
}

long shim_timer_settime(struct regs *r)
{
	struct sigtimer *t = sig_timer_find((int)A1(r));
	int64_t spec[4];
	bool valid = !user_read(spec, A3(r), sizeof(spec));
	for (int i = 0; valid && i < 4; i++)
		valid = spec[i] >= 0 && (i % 2 == 0 || spec[i] < NSEC_PER_SEC);
	if (!t || !valid)
		return shim_raw(r);
	sig_timer_drop(t);
	return set(r, t, A4(r));
}

long shim_timer_gettime(struct regs *r)
{
	struct sigtimer *t = sig_timer_find((int)A1(r));
	return t ? get(r, t, A2(r)) : shim_raw(r);
}

long shim_timer_getoverrun(struct regs *r)
{
	struct sigtimer *t = sig_timer_find((int)A1(r));
	int n = t ? sig_timer_overrun(t) : -1;
	return n < 0 ? shim_raw(r) : n;
}

/* --- ITIMER_REAL --- */

long shim_setitimer(struct regs *r)
{
	return (int)A1(r) == ITIMER_REAL ? set(r, sig_timer_itimer(), A3(r)) : shim_raw(r);
}

long shim_getitimer(struct regs *r)
{
	return (int)A1(r) == ITIMER_REAL ? get(r, sig_timer_itimer(), A2(r)) : shim_raw(r);
}

/* Whole seconds, rounded as the kernel does. */
long shim_alarm(struct regs *r)
{
	int64_t left[4];
	long ret;
	if (!restart(r, sig_timer_itimer(), left, &ret))
		return ret;
	return left[2] + ((!left[2] && left[3]) || left[3] >= 500000);
}
