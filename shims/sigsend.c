/* sigsend.c - sending: kill, tkill, tgkill, sigqueue. What is for this process never reaches the kernel, except where
 * only the kernel can do it (SIGKILL, SIGSTOP, default actions).
 */
#include "../runtime/ending.h"
#include "shim.h"
#include "sigimpl.h"
#include <asm/resource.h>

static struct ksiginfo info_of(int sig, int code)
{
	return (struct ksiginfo){ .signo = sig, .code = code, .pid = sig_pid, .uid = (uint32_t)sys0(__NR_getuid) };
}

static bool valid(int sig)
{
	return sig >= 0 && sig <= NSIG_ALL;
}

static bool kernels(int sig)
{
	return sig && (sigbit(sig) & SIG_UNBLOCKABLE);
}

/* The process is about to kill itself, and its G's robust mutexes are to be marked before. */
static void before_kill(int sig)
{
	if (sig == SIGKILL && sig_pid != 1) /* the kernel spares process 1 */
		process_ending();
}

/* The same with a siginfo, NULL: none. Those that a thread may not send to its process, or that have a layout of their own, the
 * kernel may refuse. */
void sig_before_kill(int sig, const struct ksiginfo *info)
{
	if (!info || info->code == CODE_QUEUE)
		before_kill(sig);
}

/* To the whole process, by way of the calling kernel thread: what a thread sends to its own process has happened when the
 * call returns, but the kernel would rather tell its first thread, which may be any other M, and asleep. */
static long by_kernel(int sig)
{
	before_kill(sig);
	return sys3(__NR_tgkill, sig_pid, getm()->procid, sig);
}

static bool in_this_process(int tid)
{
	return tid == sig_pid || (tid > 0 && g_by_tid((uint32_t)tid));
}

/* Where the id of a process is asked for the kernel takes that of any of its threads. */
static int process_of(uint64_t id)
{
	return in_this_process((int)id) ? sig_pid : (int)id;
}

long shim_of_process(struct regs *r)
{
	return sys6((long)r->rax, process_of(A1(r)), (long)A2(r), (long)A3(r), (long)A4(r), (long)A5(r), (long)A6(r));
}

/* kill(-1) spares the caller. */
static bool is_own_group(int pid)
{
	return pid == 0 || (pid < -1 && pid == -(int)sys1(__NR_getpgid, 0));
}

long shim_kill(struct regs *r)
{
	int pid = process_of(A1(r)), sig = (int)A2(r);
	if (is_own_group(pid))
		before_kill(sig);
	if (pid != sig_pid || !valid(sig) || sig == 0)
		return shim_of_process(r);
	if (kernels(sig))
		return by_kernel(sig);
	struct ksiginfo info = info_of(sig, CODE_USER);
	return sig_send(NULL, sig, &info);
}

/* tid 0 < tid. A dead main thread stays there as a zombie does. */
static long to_thread(struct regs *r, int tid, int sig, const struct ksiginfo *info)
{
	struct g *g = g_by_tid((uint32_t)tid);
	if (!g) {
		if (tid == sig_pid)
			return 0;
		return load_rlx(&sched.nforeign) ? shim_raw(r) : -ESRCH;
	}
	if (!valid(sig))
		return -EINVAL;
	if (sig == 0)
		return 0;
	if (kernels(sig))
		return by_kernel(sig);
	return sig_send(g, sig, info);
}

long shim_tkill(struct regs *r)
{
	int tid = (int)A1(r), sig = (int)A2(r);
	if (tid <= 0)
		return -EINVAL;
	if (!in_this_process(tid))
		return shim_raw(r);
	struct ksiginfo info = info_of(sig, CODE_TKILL);
	return to_thread(r, tid, sig, &info);
}

long shim_tgkill(struct regs *r)
{
	int tgid = (int)A1(r), tid = (int)A2(r), sig = (int)A3(r);
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	if (tgid != sig_pid)
		return shim_raw(r);
	struct ksiginfo info = info_of(sig, CODE_TKILL);
	cred_signalled(sig);
	return to_thread(r, tid, sig, &info);
}

/* A thread may tell itself anything, others only what neither the kernel says nor kill. */
static bool may_say(const struct ksiginfo *info, int id)
{
	return (info->code < 0 && info->code != CODE_TKILL) || id == (int)getg()->tid;
}

long shim_rt_sigqueueinfo(struct regs *r)
{
	int pid = process_of(A1(r)), sig = (int)A2(r);
	struct ksiginfo info;
	if (pid != sig_pid || !valid(sig) || sig == 0)
		return shim_of_process(r);
	if (user_read(&info, A3(r), sizeof(info)))
		return -EFAULT;
	if (!may_say(&info, (int)A1(r)))
		return -EPERM;
	if (!kernels(sig))
		return sig_send(NULL, sig, &info);
	sig_before_kill(sig, &info);
	return shim_of_process(r);
}

long shim_rt_tgsigqueueinfo(struct regs *r)
{
	int tgid = (int)A1(r), tid = (int)A2(r), sig = (int)A3(r);
	struct ksiginfo info;
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	if (tgid != sig_pid)
		return shim_raw(r);
	if (user_read(&info, A4(r), sizeof(info)))
		return -EFAULT;
	if (!may_say(&info, tid))
		return -EPERM;
	return to_thread(r, tid, sig, &info);
}

/* setrlimit(resource, …) and prlimit(pid, resource, …): our queue has the kernel's limit. */
long shim_setrlimit(struct regs *r)
{
	long ret = r->rax == __NR_setrlimit ? shim_raw(r) : shim_of_process(r);
	uint32_t resource = (uint32_t)(r->rax == __NR_setrlimit ? A1(r) : A2(r));
	if (resource == RLIMIT_SIGPENDING)
		sig_limit_changed();
	return ret;
}
