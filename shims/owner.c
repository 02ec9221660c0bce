/* owner.c - who gets a descriptor's signals: fcntl with F_SETOWN, F_SETOWN_EX and their questions.
 *
 * The kernel knows no G. One that makes itself the owner (F_OWNER_TID with its own id) is wired, and its kernel thread is the
 * owner; what arrives there for a descriptor is its own (sigentry.c). Another G cannot be wired from here: then the process
 * is the owner, which F_GETOWN_EX says. A thread's id given to F_SETOWN means the process natively too.
 */
#include "shim.h"
#include "sigimpl.h"
#include <linux/fcntl.h>

#ifndef F_OWNER_TID
#define F_OWNER_TID 0
#define F_OWNER_PID 1
#endif

struct owner {
	int32_t type, pid;
};

static struct g *secondary(int tid)
{
	struct g *g = tid > 0 ? g_by_tid((uint32_t)tid) : NULL;
	return g == main_g ? NULL : g;
}

/* The kernel's id -> the program's. */
static int32_t id_of(int32_t id)
{
	for (uint32_t i = 0; id > 0 && i < g_count(); i++) {
		struct g *g = g_at(i);
		enum gstatus s = g ? load_acq(&g->status) : Gdead;
		if (s != Gdead && s != Gidle && g->sig.owner && g->lockedm && g->lockedm->procid == id)
			return (int32_t)g->tid;
	}
	return id;
}

static long set_owner_ex(struct regs *r)
{
	struct owner o;
	if (user_read(&o, A3(r), sizeof(o)))
		return -EFAULT;
	struct g *self = getg(), *g = o.type == F_OWNER_TID ? secondary(o.pid) : NULL;
	if (!g)
		return shim_raw(r);
	if (g == self) {
		shim_wire("owner of a descriptor's signals");
		self->sig.owner = true;
		o.pid = os_gettid();
	} else {
		o = (struct owner){ F_OWNER_PID, sig_pid };
	}
	return sys3(__NR_fcntl, A1(r), F_SETOWN_EX, &o);
}

static long get_owner_ex(struct regs *r)
{
	struct owner o;
	long ret = shim_raw(r);
	if (ret || user_read(&o, A3(r), sizeof(o)) || o.type != F_OWNER_TID)
		return ret;
	o.pid = id_of(o.pid);
	return user_write(A3(r), &o, sizeof(o)) ? -EFAULT : 0;
}

long shim_owner(struct regs *r)
{
	switch ((int)A2(r)) {
	case F_SETOWN:
		return sys3(__NR_fcntl, A1(r), F_SETOWN, secondary((int)A3(r)) ? (long)sig_pid : (long)A3(r));
	case F_SETOWN_EX:
		return set_owner_ex(r);
	case F_GETOWN_EX:
		return get_owner_ex(r);
	default: {
		long ret = shim_raw(r);
		return ret > 0 ? id_of((int32_t)ret) : ret;
	}
	}
}
