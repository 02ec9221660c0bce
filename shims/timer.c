/* timer.c - POSIX timers and ITIMER_REAL. SIGEV_THREAD_ID names a G, which the kernel does not know; a timer that is faster
 * than its signals are taken is held. See runtime/sigtimer.c. Those of a G's CPU time are ours: see runtime/cputimer.c.
 */
#include "shim.h"
#include "sigimpl.h"

#define SIGEV_SIGNAL 0
#define SIGEV_NONE 1
#define SIGEV_THREAD_ID 4
#define ITIMER_REAL 0
#define CLOCK_MONOTONIC 1

struct ksigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};
_Static_assert(sizeof(struct ksigevent) == 64, "sigevent");

static long finish(struct regs *r, int id)
{
	if (!user_write(A3(r), &id, sizeof(id)))
		return 0;
	struct sigtimer *t = sig_timer_find(id);
	sys1(__NR_timer_delete, id);
	sig_timer_del(t);
	return -EFAULT;
}

static long create(struct regs *r, const struct ksigevent *ev, struct g *g)
{
	int id;
	/* Nobody blocks it in the kernel: it must come to us from the first expiry on. */
	if (g && ev->signo > 0 && ev->signo <= NSIG_ALL)
		sig_note_blocked(sigbit(ev->signo));
	long ret = sys3(__NR_timer_create, A1(r), ev, &id);
	if (ret)
		return ret;
	sig_timer_add(id, (int)A1(r), ev->signo, g, NULL);
	return finish(r, id);
}

/* Of the CPU time of one of ours. The kernel's timer gives it an id, checks the event, and is never set. */
static long create_cpu(struct regs *r, const struct ksigevent *ev, struct g *owner, struct g *g)
{
	int id;
	if (!sysmon_start())
		return -EAGAIN;
	long ret = sys3(__NR_timer_create, CLOCK_MONOTONIC, ev, &id);
	if (ret)
		return ret;
	struct ksiginfo info = { .signo = ev->notify == SIGEV_NONE ? 0 : ev->signo, .code = CODE_TIMER };
	info.timer = id;
	info.timer_value = A2(r) ? ev->value : (uint64_t)id;
	struct cputimer *c = cputimer_new(&info, owner, g);
	cputimer_begin(c, sig_timer_add(id, CLOCK_MONOTONIC, info.signo, g, c));
	ret = finish(r, id);
	if (ret)
		cputimer_free(c);
	return ret;
}

long shim_timer_create(struct regs *r)
{
	struct ksigevent ev = { .signo = SIGALRM, .notify = SIGEV_SIGNAL };
	struct g *g = NULL, *owner = clock_owner(getg(), (int)A1(r));
	if (A2(r) && user_read(&ev, A2(r), sizeof(ev)))
		return -EFAULT;
	if (ev.notify == SIGEV_THREAD_ID) {
		g = g_by_tid((uint32_t)ev.tid);
		if (!g)
			return -EINVAL;
		ev.notify = SIGEV_SIGNAL;
	}
	if (owner && (ev.notify == SIGEV_SIGNAL || ev.notify == SIGEV_NONE))
		return create_cpu(r, &ev, owner, g);
	return ev.notify == SIGEV_SIGNAL && A2(r) ? create(r, &ev, g) : shim_raw(r);
}

long shim_timer_delete(struct regs *r)
{
	struct sigtimer *t = sig_timer_find((int)A1(r));
	struct cputimer *c = t ? sig_timer_cpu(t) : NULL;
	int64_t left, interval;
	if (c)
		cputimer_stop(c, &left, &interval);
	long ret = shim_raw(r);
	if (ret == 0 && t)
		sig_timer_del(t);
	if (ret == 0 && c)
		cputimer_free(c);
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

/* --- of CPU time --- */

static int64_t ns_of(const int64_t ts[2])
{
	return ts[0] >= INT64_MAX / NSEC_PER_SEC ? INT64_MAX : ts[0] * NSEC_PER_SEC + ts[1];
}

static long write_spec(uintptr_t to, int64_t left, int64_t interval)
{
	int64_t spec[4] = { interval / NSEC_PER_SEC, interval % NSEC_PER_SEC, left / NSEC_PER_SEC, left % NSEC_PER_SEC };
	return user_write(to, spec, sizeof(spec)) ? -EFAULT : 0;
}

/* Stopped first, so that what is pending of it can be forgotten. */
static long set_cpu(struct regs *r, struct sigtimer *t, const int64_t spec[4])
{
	struct cputimer *c = sig_timer_cpu(t);
	int64_t left, interval;
	cputimer_stop(c, &left, &interval);
	sig_timer_drop(t);
	sig_timer_restarted(t);
	if (!cputimer_start(c, A2(r) & TIMER_ABSTIME, ns_of(spec + 2), ns_of(spec)))
		return -ESRCH;
	return A4(r) ? write_spec(A4(r), left, interval) : 0;
}

static long get_cpu(struct regs *r, struct sigtimer *t)
{
	int64_t left, interval;
	cputimer_get(sig_timer_cpu(t), &left, &interval);
	return write_spec(A2(r), left, interval);
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
	if (sig_timer_cpu(t))
		return set_cpu(r, t, spec);
	sig_timer_drop(t);
	return set(r, t, A4(r));
}

long shim_timer_gettime(struct regs *r)
{
	struct sigtimer *t = sig_timer_find((int)A1(r));
	if (t && sig_timer_cpu(t))
		return get_cpu(r, t);
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
