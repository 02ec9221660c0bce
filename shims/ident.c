/* ident.c - what a thread may say and ask of itself: names, affinity, priority, CPU use.
 *
 * Affinity, policy and priority of a G are recorded and reported, not applied: a G has no CPU of its own. What is
 * asked about other processes goes to the kernel. A process that a G makes, or becomes by exec, begins with what the G has, so there
 * it is applied: the child of a posix_spawn does that itself, first of all; the child of a fork, whose threads are G's too, when it
 * execs, but for the nice value, which others see.
 */
#include "../runtime/smplocks.h"
#include "shim.h"
#include "sigimpl.h"
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/resource.h>
#include <linux/time.h>

#define SCHED_OTHER 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define SCHED_RESET_ON_FORK 0x40000000
#define IOPRIO_WHO_PROCESS 1
#define X_OK 1
#define SCHED_FLAG_RESET_ON_FORK 0x01
#define SCHED_FLAG_KEEP_POLICY 0x08
#define SCHED_FLAG_KEEP_PARAMS 0x10
#define SCHED_FLAG_ALL 0x7f
#define SCHED_ATTR_SIZE_VER1 56
#define RUSAGE_THREAD 1

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#endif

/* The G that a thread id names: 0 is the caller; NULL: not ours. */
static struct g *g_named(uint64_t id)
{
	return (uint32_t)id == 0 ? getg() : g_by_tid((uint32_t)id);
}

static bool on_first_kernel_thread(void)
{
	return getm()->procid == (int)main_g->tid;
}

/* What is not read stays. */
static void comm_file(const char *path, char name[GNAME_LEN], bool set)
{
	char text[GNAME_LEN + 1] = "";
	size_t len = 0;
	int fd = (int)sys4(__NR_openat, AT_FDCWD, path, (set ? O_WRONLY : O_RDONLY) | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	while (set && len < GNAME_LEN - 1 && name[len])
		len++;
	/* What is written ends with its NUL, as nothing at all would not reach the kernel; what is read ends with a newline. */
	long n = set ? sys3(__NR_write, fd, name, len + 1) : sys3(__NR_read, fd, text, GNAME_LEN);
	sys1(__NR_close, fd);
	for (long i = 0; !set && n > 0 && i < GNAME_LEN; i++)
		name[i] = i < n - 1 ? text[i] : 0;
}

/* The main thread's name is the process's, the first kernel thread's, also while it runs on another. Without /proc: only what is
 * remembered of it. */
static void main_name(char name[GNAME_LEN], bool set)
{
	char path[48];
	rt_snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)main_g->tid);
	comm_file(path, name, set);
}

/* How often the main thread has named itself, which children see, too, until they have their name: what its file says after that is
 * not what they are to have. NULL: none has asked yet. */
static _Atomic uint32_t *renamed;

static void count_renames(void)
{
	if (renamed)
		return;
	long p = sys6(__NR_mmap, 0, sizeof(*renamed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p > 0)
		renamed = (_Atomic uint32_t *)p;
}

/* The same in the child of a fork, where no other thread sees the descriptor. In the /proc of another namespace the number would be
 * another process's. */
static void name_of_maker(char name[GNAME_LEN], int pid, uint32_t renames)
{
	char now[GNAME_LEN];
	char path[48], self[16] = "";
	sys4(__NR_readlinkat, AT_FDCWD, "/proc/self", self, sizeof(self) - 1);
	rt_snprintf(path, sizeof(path), "%d", os_getpid());
	for (size_t i = 0; i < sizeof(self); i++) {
		if (self[i] != path[i])
			return;
		if (!self[i])
			break;
	}
	rt_snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	for (int i = 0; i < GNAME_LEN; i++)
		now[i] = name[i];
	comm_file(path, now, false);
	if (!renamed || atomic_load(renamed) != renames)
		return;
	for (int i = 0; i < GNAME_LEN; i++)
		name[i] = now[i];
}

long shim_prctl(struct regs *r)
{
	struct g *g = getg();
	if ((int)A1(r) == PR_SET_SECCOMP || (int)A1(r) == PR_SET_MDWE)
		smplocks_keep("text that may become unchangeable");
	char name[GNAME_LEN] = "";
	switch ((int)A1(r)) {
	case PR_SET_NAME:
		for (int i = 0; i < GNAME_LEN - 1; i++) {
			if (user_read(&name[i], A2(r) + (uintptr_t)i, 1))
				return -EFAULT;
			if (!name[i])
				break;
		}
		for (int i = 0; i < GNAME_LEN; i++)
			g->name[i] = name[i];
		if (g != main_g)
			return 0;
		if (renamed)
			atomic_fetch_add(renamed, 1);
		if (on_first_kernel_thread())
			return shim_raw(r);
		main_name(name, true);
		return 0;
	case PR_GET_NAME:
		if (g == main_g && on_first_kernel_thread())
			return shim_raw(r);
		if (g == main_g)
			main_name(g->name, false);
		return user_write(A2(r), g->name, GNAME_LEN) ? -EFAULT : 0;
	case PR_GET_TID_ADDRESS: /* the kernel knows the M's */
		return user_write(A2(r), &g->clear_tid, sizeof(g->clear_tid)) ? -EFAULT : 0;
	case PR_SET_NO_NEW_PRIVS:
		return cred_no_new_privs(r);
	case PR_SET_SECCOMP:
		if (A2(r) == SECCOMP_MODE_STRICT)
			return cred_strict();
		cred_filters(A3(r));
		return cred_confined(r, "seccomp");
	default: {
		const char *why = cred_prctl_wires((int)A1(r), A2(r));
		return why ? cred_confined(r, why) : shim_raw(r);
	}
	}
}

long shim_sched_setaffinity(struct regs *r)
{
	struct g *g = g_named(A1(r));
	uint64_t mask[16] = { 0 }, usable[16] = { 0 };
	size_t n = A2(r) < sizeof(mask) ? A2(r) : sizeof(mask);
	if (!g)
		return shim_raw(r);
	if (user_read(mask, A3(r), n))
		return -EFAULT;
	/* The M's own mask is what the process may use. */
	long got = sys3(__NR_sched_getaffinity, 0, sizeof(usable), usable);
	uint64_t any = 0;
	for (size_t i = 0; i < nelem(mask); i++)
		any |= mask[i] &= got > 0 ? usable[i] : ~0ULL;
	if (!any)
		return -EINVAL;
	for (size_t i = 0; i < nelem(mask); i++)
		g->affinity[i] = mask[i];
	atomic_fetch_or(&g->recorded, RecordedAffinity);
	return 0;
}

long shim_sched_getaffinity(struct regs *r)
{
	struct g *g = g_named(A1(r));
	if (!g)
		return shim_raw(r);
	if (!(load_rlx(&g->recorded) & RecordedAffinity))
		return sys3(__NR_sched_getaffinity, 0, A2(r), A3(r));
	uint64_t kernel[16];
	long n = sys3(__NR_sched_getaffinity, 0, A2(r) < sizeof(kernel) ? A2(r) : sizeof(kernel), kernel);
	if (n < 0)
		return n;
	return user_write(A3(r), g->affinity, (size_t)n) ? -EFAULT : n;
}

static int check_policy(int policy, int prio)
{
	switch (policy & ~SCHED_RESET_ON_FORK) {
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
		return prio == 0 ? 0 : -EINVAL;
	case SCHED_FIFO:
	case SCHED_RR:
		return prio >= 1 && prio <= 99 ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* May the thread go below this limit, which is the process's, or has it the capability? Asked of the kernel without changing
 * anything. */
static bool allowed(int resource, int value)
{
	struct {
		uint64_t cur, max;
	} lim = { 0 };
	sys4(__NR_prlimit64, 0, resource, 0, &lim);
	if (lim.cur >= (uint64_t)value)
		return true;
	struct {
		uint32_t version;
		int pid;
	} head = { 0x20080522, 0 };
	struct {
		uint32_t effective, permitted, inheritable;
	} data[2] = { { 0 } };
	sys2(__NR_capget, &head, data);
	return data[0].effective & 1u << 23; /* CAP_SYS_NICE */
}

static long set_policy(struct g *g, int policy, int prio)
{
	int err = check_policy(policy, prio);
	if (err)
		return err;
	if (prio > 0 && !allowed(RLIMIT_RTPRIO, prio))
		return -EPERM;
	g->policy = policy;
	g->priority = prio;
	atomic_fetch_or(&g->recorded, RecordedPolicy);
	return 0;
}

/* What threads have that were not told one: what the first kernel thread had before the main thread was told one. */
static struct {
	_Atomic bool kept;
	int nice;
} common;

static int nice_of(const struct g *g)
{
	if (load_rlx(&g->recorded) & RecordedNice)
		return g->nice;
	if (g != main_g && load_acq(&common.kept))
		return common.nice;
	return 20 - (int)sys2(__NR_getpriority, PRIO_PROCESS, g == main_g ? os_getpid() : 0);
}

/* The main thread's nice value is what other processes see, so it reaches the kernel; those of others are recorded. */
static long set_nice(struct g *g, int nice)
{
	nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	if (nice < nice_of(g) && !allowed(RLIMIT_NICE, 20 - nice))
		return -EACCES;
	if (g == main_g) {
		if (!load_rlx(&common.kept)) {
			common.nice = nice_of(g);
			store_rel(&common.kept, true);
		}
		long err = sys3(__NR_setpriority, PRIO_PROCESS, os_getpid(), nice);
		if (err)
			return err;
	}
	g->nice = nice;
	atomic_fetch_or(&g->recorded, RecordedNice);
	return 0;
}

static void copy_affinity(uint64_t to[16], const uint64_t from[16])
{
	for (int i = 0; i < 16; i++)
		to[i] = from[i];
}

static struct identity of(const struct g *g)
{
	struct identity id = { .recorded = load_rlx(&g->recorded) };
	if (likely(!id.recorded))
		return id;
	copy_affinity(id.affinity, g->affinity);
	id.nice = g->nice;
	id.ioprio = g->ioprio;
	id.policy = g->policy;
	id.priority = g->priority;
	return id;
}

static void reset_on_fork(struct identity *id)
{
	if (likely(!(id->policy & SCHED_RESET_ON_FORK)))
		return;
	id->policy &= ~SCHED_RESET_ON_FORK;
	if (id->priority || (id->recorded & RecordedNice && id->nice < 0))
		id->nice = 0;
	if (id->priority)
		id->policy = id->priority = 0;
}

static void give(struct g *g, const struct identity *id)
{
	copy_affinity(g->affinity, id->affinity);
	g->nice = id->nice;
	g->ioprio = id->ioprio;
	g->policy = id->policy;
	g->priority = id->priority;
	store_rlx(&g->recorded, id->recorded);
}

/* g is being made by `maker`, which was told something. */
void ident_inherit(struct g *g, const struct g *maker)
{
	struct identity id = of(maker);
	reset_on_fork(&id);
	give(g, &id);
}

/* The nice value is asked for also where another thread's may have reached the kernel thread. */
static struct identity for_process(const struct g *g)
{
	struct identity id = of(g);
	if (unlikely(load_acq(&common.kept)) && !(id.recorded & RecordedNice)) {
		id.nice = nice_of(g);
		id.recorded |= RecordedNice;
	}
	return id;
}

struct identity ident_for_child(const struct g *g)
{
	struct identity id = for_process(g);
	reset_on_fork(&id);
	return id;
}

static void apply_nice(const struct identity *id)
{
	if (id->recorded & RecordedNice && 20 - (int)sys2(__NR_getpriority, PRIO_PROCESS, 0) != id->nice)
		sys3(__NR_setpriority, PRIO_PROCESS, 0, id->nice);
}

/* To the calling kernel thread. What it may not have it goes without. */
void ident_apply(const struct identity *id)
{
	if (id->recorded & RecordedAffinity)
		sys3(__NR_sched_setaffinity, 0, sizeof(id->affinity), id->affinity);
	if (id->recorded & RecordedPolicy)
		sys3(__NR_sched_setscheduler, 0, id->policy, &id->priority);
	apply_nice(id);
	if (id->recorded & RecordedIoprio)
		sys3(__NR_ioprio_set, IOPRIO_WHO_PROCESS, 0, id->ioprio);
}

/* What the calling kernel thread has of what is in `which`. */
static struct identity of_kernel_thread(uint8_t which)
{
	struct identity id = { .recorded = which };
	sys3(__NR_sched_getaffinity, 0, sizeof(id.affinity), id.affinity);
	id.policy = (int)sys1(__NR_sched_getscheduler, 0);
	sys2(__NR_sched_getparam, 0, &id.priority);
	id.nice = 20 - (int)sys2(__NR_getpriority, PRIO_PROCESS, 0);
	id.ioprio = (int)sys2(__NR_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	return id;
}

struct identity ident_before_fork(struct g *g)
{
	struct identity id = ident_for_child(g);
	id.named = g != main_g || !on_first_kernel_thread();
	id.maker = g == main_g ? (int)g->tid : 0;
	if (id.named && id.maker)
		count_renames();
	id.renames = renamed ? load_rlx(renamed) : 0;
	return id;
}

/* In the child: g is the main thread now, and its name the process's. */
void ident_after_fork(struct g *g, const struct identity *id)
{
	store_rlx(&common.kept, false);
	if (id->named && id->maker)
		name_of_maker(g->name, id->maker, id->renames);
	if (renamed)
		sys2(__NR_munmap, renamed, sizeof(*renamed));
	renamed = NULL;
	if (id->named)
		sys2(__NR_prctl, PR_SET_NAME, g->name);
	if (likely(!id->recorded))
		return;
	give(g, id);
	apply_nice(id);
}

static bool may_succeed(const struct regs *r)
{
	if (r->rax == __NR_execve)
		return sys4(__NR_faccessat2, AT_FDCWD, (long)A1(r), X_OK, AT_EACCESS) == 0;
	return sys4(__NR_faccessat2, (int)A1(r), (long)A2(r), X_OK, (long)A5(r) | AT_EACCESS) == 0;
}

/* before->recorded: what is to be taken back if the exec fails, as far as the kernel lets one: so a path on which there is nothing
 * is not tried. */
void ident_before_exec(const struct regs *r, struct identity *before)
{
	struct identity id = for_process(getg());
	before->recorded = 0;
	if (likely(!id.recorded) || !may_succeed(r))
		return;
	*before = of_kernel_thread(id.recorded);
	ident_apply(&id);
}

long shim_sched_setscheduler(struct regs *r)
{
	struct g *g = g_named(A1(r));
	int prio;
	if (!g || (int)A1(r) < 0)
		return shim_raw(r);
	if (!A3(r) || user_read(&prio, A3(r), sizeof(prio)))
		return A3(r) ? -EFAULT : -EINVAL;
	return set_policy(g, (int)A2(r), prio);
}

long shim_sched_getscheduler(struct regs *r)
{
	struct g *g = g_named(A1(r));
	return g ? g->policy : shim_raw(r);
}

long shim_sched_setparam(struct regs *r)
{
	struct g *g = g_named(A1(r));
	int prio;
	if (!g || (int)A1(r) < 0)
		return shim_raw(r);
	if (!A2(r) || user_read(&prio, A2(r), sizeof(prio)))
		return A2(r) ? -EFAULT : -EINVAL;
	return set_policy(g, g->policy, prio);
}

long shim_sched_getparam(struct regs *r)
{
	struct g *g = g_named(A1(r));
	if (!g || !A2(r))
		return g ? -EINVAL : shim_raw(r);
	return user_write(A2(r), &g->priority, sizeof(int)) ? -EFAULT : 0;
}

struct sched_attr_v0 {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static bool is_realtime(const struct g *g)
{
	return g->priority > 0;
}

/* The size is the program's: of an old form, or 0 for the oldest, or a newer one, of whose fields none concerns a G. */
static long read_attr(struct sched_attr_v0 *a, uintptr_t at)
{
	uint32_t known = SCHED_ATTR_SIZE_VER1;
	if (user_read(&a->size, at, sizeof(a->size)))
		return -EFAULT;
	if (a->size && (a->size < sizeof(*a) || a->size > 4096))
		return user_write(at, &known, sizeof(known)) ? -EFAULT : -E2BIG;
	return user_read(a, at, sizeof(*a)) ? -EFAULT : 0;
}

long shim_sched_setattr(struct regs *r)
{
	struct g *g = g_named(A1(r));
	struct sched_attr_v0 a;
	if (!g || !A2(r) || (int)A3(r))
		return shim_raw(r); /* the last two are errors */
	long err = read_attr(&a, A2(r));
	if (err)
		return err;
	if (a.flags & ~(uint64_t)SCHED_FLAG_ALL || a.policy & SCHED_RESET_ON_FORK)
		return -EINVAL;
	int reset = a.flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0;
	/* With KEEP_PARAMS the kernel does not change the policy either. */
	if (a.flags & (SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS))
		a.policy = (uint32_t)g->policy & ~(uint32_t)SCHED_RESET_ON_FORK;
	if (a.flags & SCHED_FLAG_KEEP_POLICY)
		reset = g->policy & SCHED_RESET_ON_FORK;
	if (a.flags & SCHED_FLAG_KEEP_PARAMS) {
		a.priority = (uint32_t)g->priority;
		a.nice = nice_of(g);
	}
	err = check_policy((int)a.policy, (int)a.priority);
	if (err)
		return err;
	if ((a.policy == SCHED_OTHER || a.policy == SCHED_BATCH) && set_nice(g, a.nice))
		return -EPERM;
	return set_policy(g, (int)a.policy | reset, (int)a.priority);
}

long shim_sched_getattr(struct regs *r)
{
	struct g *g = g_named(A1(r));
	if (!g)
		return shim_raw(r);
	if (!A2(r) || (uint32_t)A3(r) < sizeof(struct sched_attr_v0) || (int)A4(r))
		return -EINVAL;
	struct sched_attr_v0 a = {
		.size = sizeof(a),
		.policy = (uint32_t)g->policy & ~(uint32_t)SCHED_RESET_ON_FORK,
		.flags = g->policy & SCHED_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0,
		.nice = is_realtime(g) ? 0 : nice_of(g),
		.priority = (uint32_t)g->priority,
	};
	return user_write(A2(r), &a, sizeof(a)) ? -EFAULT : 0;
}

long shim_sched_rr_get_interval(struct regs *r)
{
	struct g *g = g_named(A1(r));
	if (!g)
		return shim_raw(r);
	struct ktimespec ts = { 0, g->policy == SCHED_RR ? 100 * NSEC_PER_MSEC : g->policy == SCHED_FIFO ? 0 : 4 * NSEC_PER_MSEC };
	return user_write(A2(r), &ts, sizeof(ts)) ? -EFAULT : 0;
}

long shim_getpriority(struct regs *r)
{
	struct g *g = (int)A1(r) == PRIO_PROCESS ? g_named(A2(r)) : NULL;
	return g ? 20 - nice_of(g) : shim_raw(r);
}

long shim_setpriority(struct regs *r)
{
	struct g *g = (int)A1(r) == PRIO_PROCESS ? g_named(A2(r)) : NULL;
	return g ? set_nice(g, (int)A3(r)) : shim_raw(r);
}

long shim_getrusage(struct regs *r)
{
	if ((int)A1(r) != RUSAGE_THREAD)
		return shim_raw(r);
	struct rusage u;
	long err = sys2(__NR_getrusage, RUSAGE_THREAD, &u);
	if (err)
		return err;
	struct g *g = getg();
	int64_t us = g_cputime(g) / NSEC_PER_USEC;
	u.ru_utime.tv_sec = us / 1000000;
	u.ru_utime.tv_usec = us % 1000000;
	u.ru_stime.tv_sec = u.ru_stime.tv_usec = 0;
	u.ru_nvcsw = (long)g->switches;
	return user_write(A2(r), &u, sizeof(u)) ? -EFAULT : 0;
}

/* --- ids of processes --- */

/* The kernel's answer for a thread that is not the first. */
long shim_setpgid(struct regs *r)
{
	bool another = (int)A1(r) != sig_pid && g_by_tid((uint32_t)A1(r));
	return another && (int)A2(r) >= 0 ? -EINVAL : shim_raw(r);
}

/* What kind of thing two threads have is compared of kernel threads: one that is not wired has what the process has. */
static long comparable(uint64_t id)
{
	const struct g *g = (uint32_t)id ? g_by_tid((uint32_t)id) : NULL;
	int wired = g ? cred_wired_thread(g) : 0;
	return wired ? wired : g ? sig_pid : (long)(int)id;
}

long shim_kcmp(struct regs *r)
{
	return sys5(__NR_kcmp, comparable(A1(r)), comparable(A2(r)), (long)A3(r), (long)A4(r), (long)A5(r));
}
