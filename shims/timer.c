/* timer.c - POSIX timers: SIGEV_THREAD_ID names a G, which the kernel does not know. See runtime/sigtimer.c.
 */
#include "shim.h"
#include "sigimpl.h"

#define SIGEV_THREAD_ID 4
#define SIGEV_SIGNAL 0

struct ksigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};
_Static_assert(sizeof(struct ksigevent) == 64, "sigevent");

long shim_timer_create(struct regs *r)
{
	struct ksigevent ev;
	int id;
	if (!A2(r))
		return shim_raw(r);
	if (user_read(&ev, A2(r), sizeof(ev)))
		return -EFAULT;
	if (ev.notify != SIGEV_THREAD_ID)
		return shim_raw(r);
	struct g *g = g_by_tid((uint32_t)ev.tid);
	if (!g)
		return -EINVAL;
	ev.notify = SIGEV_SIGNAL;
	/* Nobody blocks it in the kernel: it must come to us from the first expiry on. */
	if (ev.signo > 0 && ev.signo <= NSIG_ALL)
		sig_note_blocked(sigbit(ev.signo));
	long ret = sys3(__NR_timer_create, A1(r), &ev, &id);
	if (ret)
		return ret;
	sig_timer_add(id, g);
	if (user_write(A3(r), &id, sizeof(id))) {
		sys1(__NR_timer_delete, id);
		sig_timer_del(id);
		return -EFAULT;
	}
	return 0;
}

long shim_timer_delete(struct regs *r)
{
	long ret = shim_raw(r);
	if (ret == 0)
		sig_timer_del((int)A1(r));
	return ret;
}
