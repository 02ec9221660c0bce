/* helper.c - has the `preloom` command look at this very process.
 *
 * A report with symbols needs elfutils, files and memory; none of that belongs into a program that is just crashing. So the
 * runtime starts preloom-inspect, which is installed beside the library, and waits until it has looked, from outside, as
 * it looks at any process. This works in a signal handler, with locks held, on a broken heap: it takes a clone, an exec
 * and a wait. The child shares memory until the exec (nothing is copied, however large the program), runs on a stack of
 * its own with all signals blocked, and is no child that the program's wait could see: it has no exit signal.
 *
 * The command waits until it reads a byte from its standard input: by then the Yama module, if there is one, was told who may
 * look (PR_SET_PTRACER). In a chroot the command is not found; who asked then does with what can be said without it.
 */
#include "helper.h"
#include "runtime.h"
#include <asm/errno.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/sched.h>

#define PR_SET_PTRACER 0x59616d61
#define O_CLOEXEC 02000000
#define WNOHANG 1
#define WALL 0x40000000
#define STACK_SIZE 16384
#define PATH_LEN 4096
#define FOLDER_LEN (PATH_LEN - 64)

/* What arch_clone_child expects on a new stack. */
struct childframe {
	uint64_t mask;
	struct m *gs;
	struct regs regs;
};

static const char *library_folder = "";
static struct m child_m = { .self = &child_m, .foreign = 1 };
static char child_stack[STACK_SIZE] __attribute__((aligned(16)));

/* For the child, which reads the parent's memory. */
#define WORDS 8
static char arg[256], pid_text[16];
static const char *words[WORDS + 3]; /* the program, the command's words, the process, NULL */
static int in_fd, out_fd;
static _Atomic uint32_t busy;
static _Atomic int at_work; /* kernel id */

void helper_init(const char *folder)
{
	library_folder = folder;
}

static void try_exec(const char *folder, const char *more)
{
	static char path[PATH_LEN];
	static const char *const envp[] = { NULL };
	words[0] = path;
	rt_snprintf(path, sizeof(path), "%s%s/preloom-inspect", folder, more);
	sys3(__NR_execve, path, words, envp);
}

/* Where builds and installations have it, seen from the library. */
static _Noreturn void child(void)
{
	static const char *const places[] = { "", "/../libexec/preloom", "/../../libexec/preloom", "/preloom" };
	sys3(__NR_dup3, in_fd, 0, 0);
	sys3(__NR_dup3, out_fd, 1, 0);
	sys3(__NR_dup3, rt_opt.logfd, 2, 0);
	for (size_t i = 0; i < nelem(places); i++)
		try_exec(library_folder, places[i]);
	try_exec("", "/usr/libexec/preloom");
	try_exec("", "/usr/local/libexec/preloom");
	sys1(__NR_exit_group, HELPER_NOT_FOUND);
	__builtin_unreachable();
}

static int start_child(void)
{
	uint64_t all = ~0ULL, old;
	uint64_t but_refusals = ~sigbit(SIGSYS); /* a sandbox may trap the call; blocked, that would kill us */
	/* So that the function finds the stack as if it had been called. */
	uintptr_t top = (uintptr_t)child_stack + STACK_SIZE - 8;
	struct childframe *f = (struct childframe *)(top - sizeof(*f));
	*f = (struct childframe){ .mask = all, .gs = &child_m, .regs = { .ret = (uintptr_t)child } };
	sys4(__NR_rt_sigprocmask, 2, &but_refusals, &old, 8);
	long pid = arch_clone_child(__NR_clone, CLONE_VM, (long)f, 0, 0, 0);
	sys4(__NR_rt_sigprocmask, 2, &old, 0, 8);
	return (int)pid;
}

static int start(int out)
{
	int fd[2];
	if (sys2(__NR_pipe2, fd, O_CLOEXEC) < 0) {
		store_rel(&busy, 0);
		return -EMFILE;
	}
	in_fd = fd[0];
	out_fd = out;
	int helper = start_child();
	if (helper > 0) {
		store_rel(&at_work, helper);
		sys2(__NR_prctl, PR_SET_PTRACER, helper);
		sys3(__NR_write, fd[1], "", 1);
	} else {
		store_rel(&busy, 0);
	}
	sys1(__NR_close, fd[0]); /* not before: the write would raise SIGPIPE if the child is gone */
	sys1(__NR_close, fd[1]);
	return helper;
}

/* Takes the helper, and writes down its words. */
static bool take(const char *const *w)
{
	uint32_t n = 1;
	if (atomic_exchange(&busy, 1))
		return false;
	rt_snprintf(pid_text, sizeof(pid_text), "%d", os_getpid());
	for (; *w && n <= WORDS; w++)
		words[n++] = *w;
	words[n++] = pid_text;
	words[n] = NULL;
	return true;
}

int helper_start(const struct helper_request *r)
{
	static const char *const command[] = { "dump", arg, NULL };
	if (!take(command))
		return -EBUSY;
	rt_snprintf(arg, sizeof(arg), "--inside=%s,%lu,%lx,%d,%d,%lx,%d", r->event, (unsigned long)r->goid,
		    (unsigned long)r->context, r->sig, r->code, (unsigned long)r->addr, r->level);
	return start(rt_opt.logfd);
}

int helper_run(const char *const *w, int out)
{
	if (!take(w))
		return -EBUSY;
	int pid = start(out);
	return pid < 0 ? pid : helper_result(pid, true);
}

void helper_wait_idle(void)
{
	while (load_acq(&busy)) {
		int pid = load_acq(&at_work);
		if (pid)
			helper_result(pid, true);
		else
			os_usleep(NSEC_PER_MSEC);
	}
}

int helper_result(int pid, bool wait)
{
	int status = 0;
	long r;
	do
		r = sys4(__NR_wait4, pid, &status, WALL | (wait ? 0 : WNOHANG), 0);
	while (r == -EINTR);
	if (r == 0)
		return -EAGAIN;
	/* Two may have waited for the same one: the second finds it gone, and perhaps another at work. */
	if (load_acq(&at_work) == pid) {
		sys2(__NR_prctl, PR_SET_PTRACER, 0);
		store_rel(&at_work, 0);
		store_rel(&busy, 0);
	}
	if (r < 0)
		return (int)r;
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

void helper_after_fork(void)
{
	store_rlx(&at_work, 0);
	store_rlx(&busy, 0);
}
