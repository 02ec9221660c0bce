/* lost.c - kernel threads that the kernel ended of its own.
 *
 * A seccomp filter that says SECCOMP_RET_KILL_THREAD ends a thread without a word. Here that is an M, with the thread that it ran
 * and the P that it held, and whoever joins that thread or needs that P would wait for ever. The kernel clears a word of an M
 * that ends (os_newm), so sysmon sees it, and ends the process with a line and a dump. It must have seen it twice: when a
 * process ends its threads do one after the other, sysmon's perhaps last.
 *
 * The first kernel thread's word is glibc's. Its end, and that of sysmon itself, are not noticed.
 * Rejected: tgkill with signal 0, which such a filter may not allow either.
 */
#include "lost.h"
#include "runtime.h"

static struct {
	const struct m *m; /* whose end was seen */
	int64_t since, last;
} lost;

static const struct m *find(void)
{
	lock(&sched.lock);
	const struct m *m = sched.allm;
	while (m && (!m->procid || m->tainted || load_rlx(&m->lives)))
		m = m->alllink;
	unlock(&sched.lock);
	return m;
}

static _Noreturn void end(const struct m *m)
{
	static char what[160];
	const struct g *g = m->curg;
	if (g)
		rt_snprintf(what, sizeof(what), "the kernel ended thread %u \"%s\" of its own, as a seccomp filter does", g->tid, g->name);
	else
		rt_snprintf(what, sizeof(what), "the kernel ended kernel thread %d of its own, as a seccomp filter does", m->procid);
	throw(what);
}

/* true: there may be one, look again in LOST_AGAIN. From sysmon; at_once: it will not look again soon if there is none. */
bool lost_look(int64_t now, bool at_once)
{
	if (!at_once && now - lost.last < LOST_AGAIN)
		return lost.m;
	const struct m *m = find();
	lost.last = now;
	if (m != lost.m)
		lost.since = now;
	else if (m && now - lost.since >= LOST_AGAIN)
		end(m);
	lost.m = m;
	return m;
}
