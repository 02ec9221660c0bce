/* cred.c - credentials, and what else belongs to a kernel thread for good.
 *
 * glibc's setuid and its family mean the process: glibc signals every other thread with SIGSETXID, each makes the call in
 * its handler, and the caller makes it last. Here the first of them makes it on every M (runtime/world.c), and the
 * others get that result; those that are wired have the result of their own M. Made raw, through syscall(), such a call
 * means one thread, as do setfsuid, capset, unshare, calls for keyrings of its own and their like: the G is wired to its M, which
 * nobody else will use again. Threads that it makes then inherit what was changed, as natively: each is wired to a copy of this M.
 *
 * no_new_privs is always the kernel's: nothing that is kept here could hold for a fork or an exec that goes past preloom, by
 * an instruction of the program's own making. As long as some threads have it and others do not, those that have it are
 * wired. When the last one asks for it, every M gets it, for good, and nobody need be wired for it any more.
 */
#include "../runtime/smplocks.h"
#include "shim.h"
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

#define SIGSETXID 33
#define IOPRIO_WHO_PROCESS 1 /* linux/ioprio.h has no name for it */
#define NO_THREAD 0x7fffffff /* no kernel thread has this id */

/* A change that glibc spreads: from the first signal until its caller's own call. The G that has it in hand may wait for every M,
 * so this is no lock of the runtime's; those that wait for it let other G's run. */
static struct {
	_Atomic uint32_t busy;
	struct g *caller; /* NULL: none under way */
	bool made;
	long result;
} epoch;

static void epoch_enter(void)
{
	/* acquire: pairs with the release in epoch_leave */
	while (atomic_exchange_explicit(&epoch.busy, 1, memory_order_acquire))
		gosched();
}

static void epoch_leave(void)
{
	store_rel(&epoch.busy, 0);
}

bool (*shim_is_raw_site)(uintptr_t ret);

/* The child of a fork has one thread, and glibc's part of a change that another one was making is forgotten there. */
void cred_after_fork(void)
{
	store_rlx(&epoch.busy, 0);
	epoch.caller = NULL;
}

/* From tgkill: the first SIGSETXID names the caller. */
void cred_signalled(int sig)
{
	if (likely(sig != SIGSETXID))
		return;
	epoch_enter();
	if (!epoch.caller) {
		epoch.caller = getg();
		epoch.made = false;
	}
	epoch_leave();
}

/* The G is about to change what belongs to its kernel thread. While that is the only one (a process that has just been
 * forked), it is as in any process without threads: the change is the process's, and threads that it makes inherit it. To
 * make a second one now would be wrong: unshare(CLONE_NEWUSER) refuses then. */
void shim_wire(const char *why)
{
	if (sched.nm > 1 || sched.sysmon_started)
		lockosthread(why);
}

/* ret: of the call that changed it. Threads that the G makes from now on are to have the same. */
long cred_inherited(long ret)
{
	struct g *g = getg();
	if (ret >= 0 && g->lockedm)
		g->confined = true;
	return ret;
}

long cred_confined(struct regs *r, const char *why)
{
	shim_wire(why);
	return cred_inherited(shim_raw(r));
}

/* Between epoch_enter and epoch_leave: the calling G's part of the change. A wired one may have other credentials, and so
 * another result. */
static long setxid_part(struct regs *r, const struct g *g)
{
	if (g->lockedm && !epoch.made && g != epoch.caller)
		return world_call_ahead((long)r->rax, (long)A1(r), (long)A2(r), (long)A3(r));
	if (!epoch.made) {
		epoch.result = world_call((long)r->rax, (long)A1(r), (long)A2(r), (long)A3(r));
		epoch.made = true;
		return epoch.result;
	}
	if (!g->lockedm)
		return epoch.result;
	return epoch.result ? shim_raw(r) : getm()->world_result;
}

long shim_setxid(struct regs *r)
{
	struct g *g = getg();
	if (shim_is_raw_site(r->ret))
		return cred_confined(r, "credentials");
	if (!epoch.caller)
		return world_call((long)r->rax, (long)A1(r), (long)A2(r), (long)A3(r));
	epoch_enter();
	long ret = setxid_part(r, g);
	if (g == epoch.caller)
		epoch.caller = NULL;
	epoch_leave();
	return ret;
}

long shim_wire_fsid(struct regs *r)
{
	if ((int)A1(r) == -1) /* the way to ask for it */
		return shim_raw(r);
	return cred_confined(r, "file-system id");
}

/* The kernel thread that another G is wired to; 0: none. */
int cred_wired_thread(const struct g *g)
{
	const struct m *m = __atomic_load_n(&g->lockedm, __ATOMIC_ACQUIRE);
	int id = m ? __atomic_load_n(&m->procid, __ATOMIC_ACQUIRE) : 0;
	/* If g has ended, m may be another kernel thread's by now. */
	return m && __atomic_load_n(&g->lockedm, __ATOMIC_ACQUIRE) == m ? id : 0;
}

/* The kernel thread that nothing was changed on, sysmon's; 0: the caller's own, while there is none. */
int cred_unchanged_thread(void)
{
	const struct m *m = sched.allm;
	while (m && !m->sysmon)
		m = m->alllink;
	return m ? m->procid : 0;
}

/* The one that has what g has; 0: the caller's. One that is not wired has what the process began with. */
static int thread_like(const struct g *g)
{
	if (g == getg())
		return 0;
	int id = cred_wired_thread(g);
	return id ? id : cred_unchanged_thread();
}

/* The header names a thread: a G's id must become that of a kernel thread. Nobody sets another's. */
static long capabilities(struct regs *r)
{
	struct __user_cap_header_struct h;
	if (user_read(&h, A1(r), sizeof(h)))
		return -EFAULT;
	struct g *g = h.pid ? g_by_tid((uint32_t)h.pid) : NULL;
	if (!g)
		return shim_raw(r);
	h.pid = r->rax == __NR_capget ? thread_like(g) : g == getg() ? 0 : NO_THREAD;
	long ret = sys2((long)r->rax, &h, A2(r));
	/* The kernel says which version it knows. */
	return user_write(A1(r), &h.version, sizeof(h.version)) ? -EFAULT : ret;
}

long shim_wire_capset(struct regs *r)
{
	shim_wire("capabilities");
	return cred_inherited(capabilities(r));
}

long shim_capget(struct regs *r)
{
	return capabilities(r);
}

long shim_wire_namespace(struct regs *r)
{
	return cred_confined(r, "namespace");
}

/* The keyrings of a thread alone, and of its process if they were not there before it was made, are found by its credentials. */
static bool is_of_credentials(uint64_t keyring)
{
	return (int)keyring == KEY_SPEC_THREAD_KEYRING || (int)keyring == KEY_SPEC_PROCESS_KEYRING;
}

long shim_wire_keyctl(struct regs *r)
{
	switch ((int)A1(r)) {
	case KEYCTL_JOIN_SESSION_KEYRING:
	case KEYCTL_SET_REQKEY_KEYRING:
	case KEYCTL_ASSUME_AUTHORITY:
		return cred_confined(r, "keyrings");
	default: /* which argument is a keyring depends on the command */
		if (is_of_credentials(A2(r)) || is_of_credentials(A3(r)) || is_of_credentials(A4(r)) || is_of_credentials(A5(r)))
			return cred_confined(r, "keyrings");
		return shim_raw(r);
	}
}

long shim_wire_add_key(struct regs *r)
{
	return is_of_credentials(A5(r)) ? cred_confined(r, "keyrings") : shim_raw(r);
}

/* May ask a program of the system's for the key. */
long shim_wire_request_key(struct regs *r)
{
	return is_of_credentials(A4(r)) ? cred_confined(r, "keyrings") : shim_may_block(r);
}

/* The G that an I/O priority is asked of or set for; NULL: no thread of ours. */
static struct g *io_thread(struct regs *r)
{
	uint32_t id = (uint32_t)A2(r);
	if ((int)A1(r) != IOPRIO_WHO_PROCESS)
		return NULL;
	return id ? g_by_tid(id) : getg();
}

/* Another's is recorded and reported, also where it has no kernel thread of its own. The kernel looks at the value before it
 * looks for the thread. */
long shim_wire_ioprio(struct regs *r)
{
	struct g *g = io_thread(r);
	if (!g)
		return shim_raw(r);
	bool self = g == getg();
	if (self)
		shim_wire("I/O priority");
	int id = self ? 0 : cred_wired_thread(g);
	long ret = sys3(__NR_ioprio_set, IOPRIO_WHO_PROCESS, self || id ? id : NO_THREAD, A3(r));
	if (ret && (ret != -ESRCH || self || id))
		return ret;
	g->ioprio = (int)A3(r);
	atomic_fetch_or(&g->recorded, RecordedIoprio);
	return 0;
}

long shim_ioprio_get(struct regs *r)
{
	struct g *g = io_thread(r);
	if (!g)
		return shim_raw(r);
	if (load_rlx(&g->recorded) & RecordedIoprio)
		return g->ioprio;
	return sys2(__NR_ioprio_get, IOPRIO_WHO_PROCESS, thread_like(g));
}

/* --- what confines a thread, and those that it makes --- */

static bool kernel_no_new_privs(void)
{
	return sys5(__NR_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

/* A filter for all kernel threads; who gives it to them gives them no_new_privs, too, if it has that. */
static long seccomp_for_all(struct regs *r)
{
	long ret = shim_raw(r);
	if (ret == 0 && kernel_no_new_privs())
		store_rel(&sched.no_new_privs, true);
	return ret;
}

/* Strict mode allows four calls and no time stamps: no M can live so. */
long cred_strict(void)
{
	static _Atomic uint32_t told;
	if (!atomic_exchange(&told, 1))
		rt_printf(rt_opt.logfd, "preloom: seccomp's strict mode is refused (EINVAL): it leaves preloom no way to run threads;"
					" PRELOOM=off runs the program on kernel threads\n");
	return -EINVAL;
}

/* Before a filter is there; without a program for it the kernel is only asked what it knows. */
void cred_filters(uint64_t program)
{
	if (program)
		cputime_filtered();
}

long shim_wire_seccomp(struct regs *r)
{
	smplocks_keep("text that may become unchangeable");
	switch (A1(r)) {
	case SECCOMP_SET_MODE_FILTER:
		cred_filters(A3(r));
		if (A2(r) & SECCOMP_FILTER_FLAG_TSYNC)
			return seccomp_for_all(r);
		return cred_confined(r, "seccomp");
	case SECCOMP_SET_MODE_STRICT:
		return A2(r) || A3(r) ? -EINVAL : cred_strict();
	default:
		return shim_raw(r);
	}
}

long shim_wire_landlock(struct regs *r)
{
	return cred_confined(r, "Landlock");
}

/* Has every other G no_new_privs, and has none been changed so that its kernel thread might refuse it? One that is being made
 * has not until it is told. One whose kernel thread waits for a vfork's child would keep us waiting. */
static bool others_have_it(const struct g *self)
{
	uint64_t made = atomic_load(&sched.goidgen);
	for (uint32_t i = 0; i < g_count(); i++) {
		struct g *g = g_at(i);
		enum gstatus s = g ? load_acq(&g->status) : Gdead;
		if (s == Gdead || g == self)
			continue;
		bool forks = s == Gsyscall && (g->syscall_nr == __NR_vfork || g->syscall_nr == __NR_clone || g->syscall_nr == __NR_clone3);
		if (!atomic_load(&g->no_new_privs) || forks || (g->lockedm && g->wired_why != wired_no_new_privs))
			return false;
	}
	return atomic_load(&sched.goidgen) == made;
}

long cred_no_new_privs(struct regs *r)
{
	struct g *g = getg();
	bool valid = A2(r) == 1 && !A3(r) && !A4(r) && !A5(r);
	if (valid && !g->lockedm && kernel_no_new_privs()) /* from before there were threads */
		store_rel(&sched.no_new_privs, true);
	if (!valid || load_acq(&sched.no_new_privs) || load_rlx(&g->no_new_privs))
		return shim_raw(r);
	if (!others_have_it(g)) {
		long ret = cred_confined(r, wired_no_new_privs);
		if (ret)
			return ret;
		/* seq_cst: of two that do this at once, one sees the other */
		atomic_store(&g->no_new_privs, true);
		if (!others_have_it(g))
			return 0;
	}
	long ret = world_call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0);
	if (ret)
		return ret;
	atomic_store(&g->no_new_privs, true);
	store_rel(&sched.no_new_privs, true);
	unlock_common(g);
	return 0;
}

/* Only the kernel thread that traces may ask something of what it traces. See also rt_opt.tracer. */
long shim_ptrace(struct regs *r)
{
	if (A1(r) != PTRACE_TRACEME)
		shim_wire("ptrace");
	return shim_raw(r);
}

/* The options of prctl that change the calling kernel thread only. */
const char *cred_prctl_wires(int option, uint64_t command)
{
	switch (option) {
	case PR_SET_KEEPCAPS:
	case PR_SET_SECUREBITS:
	case PR_CAPBSET_DROP:
		return "capabilities";
	case PR_CAP_AMBIENT:
		return command == PR_CAP_AMBIENT_IS_SET ? NULL : "capabilities";
	default:
		return NULL;
	}
}
