/* activate.c - activation: from a process that has made no thread yet to one whose threads are G's.
 *
 * It happens in the first pthread_create, while the process is single-threaded: the caller becomes the main G on M 0, and the
 * system calls of every loaded object are rewritten. It needs no file: a daemon may be in a chroot by then. Where it
 * cannot be done (another thread exists, a sanitizer build, Go code, no memory …) one line says so, and threads are the kernel's.
 */
#include "../runtime/ending.h"
#include "../runtime/crash.h"
#include "../runtime/futex.h"
#include "../runtime/gs.h"
#include "../runtime/helper.h"
#include "../runtime/inspect.h"
#include "../runtime/netpoll.h"
#include "../runtime/os_linux.h"
#include "../runtime/prof.h"
#include "../runtime/runtime.h"
#include "../runtime/smplocks.h"
#include "../runtime/tracebuf.h"
#include "../shims/shim.h"
#include "activate.h"
#include "dlhook.h"
#include "findlocks.h"
#include "gonote.h"
#include "loaded.h"
#include "locks.h"
#include "options.h"
#include "profopt.h"
#include "rewrite.h"
#include "vdso.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define HWCAP2_FSGSBASE 2
#define MAIN_STACK_MAX (64UL << 20)
#define RSEQ_UNREGISTER 1
#define RSEQ_SIG 0x53053053
#define CLONE_VM_FLAG 0x100
#define ROOM_TO_ACTIVATE (8UL << 20)
#define SYSCALL_FN_SIZE 64 /* it has 39 bytes */

/* glibc's; weak because older ones have no rseq */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

extern const char entry_baseline[], entry_extended[], entry_baseline_begun[], entry_extended_begun[];
extern const char entry_raw[], entry_raw_end[];
extern const char __start_program_text[], __stop_program_text[];
extern unsigned entry_xsave_size;
extern const char __ehdr_start[], etext[], _end[];

static bool options_done;
int activate_loaded_by;

static void say(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		return;
}

void activate_read_options(bool warn)
{
	bool secure = getauxval(AT_SECURE) != 0;
	if (options_done && !warn)
		return;
	options_done = true;
	if (secure)
		unsetenv("PRELOOM");
	options_read(warn && !secure);
}

/* --- may we? --- */

/* unshare(CLONE_VM) changes nothing in a single-threaded process and fails in others; no file is needed. */
static bool single_threaded(void)
{
	return sys1(__NR_unshare, CLONE_VM_FLAG) != -EINVAL;
}

/* Activation takes a few megabytes of address space; glibc will say EAGAIN for its own thread's stack when there is none. */
static bool has_room(void)
{
	void *p = mmap(NULL, ROOM_TO_ACTIVATE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	munmap(p, ROOM_TO_ACTIVATE);
	return true;
}

/* A program may have given up the right to make memory executable (PR_SET_MDWE, or a filter: systemd's
 * MemoryDenyWriteExecute): then no call can be redirected. */
static bool may_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool may = p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
	if (p != MAP_FAILED)
		munmap(p, 4096);
	return may;
}

static int look_for_go(struct dl_phdr_info *o, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (unsigned i = 0; i < o->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &o->dlpi_phdr[i];
		if (p->p_type == PT_NOTE && has_go_note((const unsigned char *)(o->dlpi_addr + p->p_vaddr), p->p_memsz, p->p_align))
			return 1;
	}
	return 0;
}

static const char *why_not(void)
{
	static const char *const sanitizers[] = { "__asan_init", "__tsan_init", "__msan_init", "__hwasan_init" };
	const char *preload = getenv("LD_PRELOAD");
	for (size_t i = 0; i < nelem(sanitizers); i++)
		if (dlsym(RTLD_DEFAULT, sanitizers[i]))
			return "preloom: this is a sanitizer build; running on kernel threads\n";
	if (dl_iterate_phdr(look_for_go, NULL))
		return "preloom: Go code is loaded, whose system calls cannot be taken over; running on kernel threads\n";
	if (getenv("RUNNING_UNDER_RR"))
		return "preloom: running under rr; running on kernel threads\n";
	if (preload && strstr(preload, "vgpreload_"))
		return "preloom: running under valgrind; running on kernel threads\n";
	if (!has_room())
		return "preloom: no address space is left; running on kernel threads\n";
	if (!may_make_code())
		return "preloom: this process may not make memory executable; running on kernel threads\n";
	if (!single_threaded())
		return "preloom: a thread exists that was not made by pthread_create; running on kernel threads\n";
	return NULL;
}

/* --- activation --- */

static bool is_served(unsigned nr)
{
	return nr < NSYSCALLS && shim_served[nr];
}

static uintptr_t next_ip(uintptr_t ret)
{
	const struct site *s = site_of_ret(ret);
	return s ? s->next : ret;
}

/* In a signal frame, a call that is to be made again stands at its syscall instruction, as the kernel would leave it:
 * unwinders know that place. resume_ip finds the way from there back into the trampoline. */
static uintptr_t restart_ip(uintptr_t ret)
{
	const struct site *s = site_of_ret(ret);
	return s ? s->addr : ret;
}

static uintptr_t resume_ip(uintptr_t ip)
{
	const struct site *s = site_of_addr(ip);
	if (s && s->tramp && ip == s->addr)
		return site_restart(s);
	return site_resume(ip);
}

static bool within(uintptr_t ip, const char *from, const char *to)
{
	return ip >= (uintptr_t)from && ip <= (uintptr_t)to;
}

/* Where a signal handler is to find the program that it interrupted on the way to or from preloom. */
static uintptr_t program_ip(uintptr_t ip, uintptr_t *sp)
{
	bool not_made = within(ip, entry_baseline, entry_baseline_begun) || ip == (uintptr_t)entry_raw ||
			within(ip, entry_extended, entry_extended_begun);
	if (ip >= (uintptr_t)__start_program_text && ip < (uintptr_t)__stop_program_text)
		return ip;
	if (!not_made && ip != (uintptr_t)entry_raw_end)
		return site_original(ip, sp);
	const struct site *s = site_of_ret(*(const uintptr_t *)*sp);
	if (!s)
		return 0;
	*sp += sizeof(uintptr_t) + RED_ZONE;
	return not_made ? s->addr : s->next;
}

/* libc's syscall(): the program asks for one thread's call, without what libc's own functions do around it. */
static uintptr_t syscall_fn;

static bool is_raw_site(uintptr_t ret)
{
	const struct site *s = site_of_ret(ret);
	return s && s->addr >= syscall_fn && s->addr < syscall_fn + SYSCALL_FN_SIZE;
}

static void drop_rseq(void)
{
	if (!&__rseq_size || __rseq_size == 0)
		return;
	char *area = (char *)arch_get_fs() + __rseq_offset;
	/* The kernel sets cpu_id to "uninitialized": sched_getcpu asks the vDSO from now on, new threads do not register. */
	sys4(__NR_rseq, area, 32, RSEQ_UNREGISTER, RSEQ_SIG);
}

static void detect_cpu(void)
{
	uint32_t a = 0xd, b, c = 1, d;
	arch_has_fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(a & 2)) /* no xsavec */
		entry_xsave_size = 0;
	else {
		a = 0xd;
		c = 0;
		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		entry_xsave_size = (unsigned)align_up(b, 64);
	}
}

extern void *__libc_stack_end; /* ld.so's: where the process began */

/* The kernel lets the first stack grow down to its limit. */
static void adopt_main_stack(struct g *g)
{
	struct rlimit limit = { MAIN_STACK_MAX, MAIN_STACK_MAX };
	getrlimit(RLIMIT_STACK, &limit);
	g->stack_hi = align_up((uintptr_t)__libc_stack_end, 4096);
	g->stack_lo = g->stack_hi - (limit.rlim_cur < MAIN_STACK_MAX ? limit.rlim_cur : MAIN_STACK_MAX);
}

/* What the kernel and glibc know of the main thread, the runtime must know of its G. */
static void adopt_main(struct g *g, uintptr_t gs)
{
	size_t len;
	uintptr_t head = 0, tid_addr = 0;
	sys3(__NR_get_robust_list, 0, &head, &len);
	g->robust_list = head;
	if (prctl(PR_GET_TID_ADDRESS, &tid_addr) == 0)
		g->clear_tid = tid_addr;
	prctl(PR_GET_NAME, g->name);
	g->gs = gs;
	if (gs)
		gs_share();
	adopt_main_stack(g);
}

static int open_log(void)
{
	char name[4096];
	if (!options.log || options.log_len == 0 || options.log_len >= sizeof(name))
		return 2;
	memcpy(name, options.log, options.log_len);
	name[options.log_len] = 0;
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rt_printf(2, "preloom: PRELOOM=log=%s: cannot be opened; reports go to stderr\n", name);
		return 2;
	}
	return privfd_take(fd);
}

/* GOTRACEBACK, with Go's words. */
static int traceback_level(void)
{
	static const char *const words[] = { "none", "single", "all", "system", "crash" };
	const char *v = getenv("GOTRACEBACK");
	if (!v || !*v || !strcmp(v, "1"))
		return TracebackSingle;
	for (size_t i = 0; i < nelem(words); i++)
		if (!strcmp(v, words[i]))
			return (int)i;
	if (!strcmp(v, "0") || !strcmp(v, "2"))
		return v[0] == '0' ? TracebackNone : TracebackAll;
	rt_printf(2, "preloom: GOTRACEBACK=%s: it takes none, single, all, system or crash; single is used\n", v);
	return TracebackSingle;
}

/* The folder that this library lies in: the command for reports is looked for from there. */
static void find_helper(void)
{
	static char folder[PATH_MAX];
	Dl_info di;
	if (!dladdr(__ehdr_start, &di) || !di.dli_fname)
		return;
	if (di.dli_fname[0] != '/') {
		if (!realpath(di.dli_fname, folder))
			return;
	} else if (strlen(di.dli_fname) < sizeof(folder)) {
		strcpy(folder, di.dli_fname);
	}
	char *slash = strrchr(folder, '/');
	if (slash) {
		*slash = 0;
		helper_init(folder);
	}
}

static void set_runtime_options(void)
{
	rt_opt.traceback = traceback_level();
	rt_opt.chaos = (uint64_t)options.chaos;
	rt_opt.schedtrace = options.schedtrace * NSEC_PER_MSEC;
	rt_opt.scheddetail = options.scheddetail;
	rt_opt.maxthreads = (uint32_t)options.maxthreads;
	rt_opt.deadlock = options.deadlock;
	rt_opt.stats = options.stats;
	rt_opt.lockheld = options.lockheld * NSEC_PER_MSEC;
	const char *env = getenv("PRELOOM_MAXTHREADS");
	if (env && atoi(env) >= 2)
		rt_opt.maxthreads = (uint32_t)atoi(env);
}

static void trace_from_start(void)
{
	static const char *const words[] = { "trace", "--at-exit", NULL };
	char path[OPTION_FILE_LEN];
	int fd = option_file("trace", options.trace, options.trace_len, path);
	if (fd >= 0 && trace_start((size_t)options.tracebuf << 20) == 0)
		ending_add(words, fd);
}

/* What is to be seen from the first thread on. A recorder reads what its own child writes, not what its grandchildren do. */
static void inspect_from_start(void)
{
	if (options.record && options.record == getppid()) {
		store_rlx(&ending.attended, 1);
		trace_start((size_t)options.tracebuf << 20);
		prof_start(ProfCpu, (uint32_t)options.cpurate, 0);
		prof_start(ProfBlock, (uint32_t)options.blockrate, 0);
		prof_start(ProfMutex, (uint32_t)options.blockrate, 0);
	} else if (options.trace) {
		trace_from_start();
	}
	if (ending_watched())
		sig_ending_changed();
}

/* It forked, or is itself a child: another process may have the same open files. */
static void adopt_files(void)
{
	if (getpid() != activate_loaded_by || sys5(__NR_waitid, P_ALL, 0, NULL, WEXITED | WNOHANG | WNOWAIT, NULL) != -ECHILD)
		fd_leak();
}

static void locks_found(const uintptr_t *at, size_t n, const struct segment *text)
{
	smplocks_init(at, n, text->lo, text->hi, text->prot);
}

static void unseen_site(void)
{
	smplocks_keep("a call that could not be rewritten");
}

static void rewrite_new(void)
{
	rewrite_all();
}

/* A program that has put itself into a seccomp sandbox may have calls trapped that it never makes, but activation does:
 * they fail, until the runtime's own handler says so. */
static void refuse_call(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
}

/* libc's own, not one of the same name in the program. */
static uintptr_t libc_function(const char *name)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	return libc ? (uintptr_t)dlsym(libc, name) : 0;
}

bool activate(void)
{
	struct sigaction refuse = { .sa_sigaction = refuse_call, .sa_flags = SA_SIGINFO | SA_NODEFER }, programs;
	activate_read_options(true);
	sigaction(SIGSYS, &refuse, &programs);
	const char *why = options.off ? "" : why_not();
	if (why) {
		sigaction(SIGSYS, &programs, NULL);
		say(why);
		return false;
	}
	int procs = options_gomaxprocs();
	detect_cpu();
	uintptr_t gs = arch_get_gs();
	void *gettime = vdso_symbol("__vdso_clock_gettime"), *getres = vdso_symbol("__vdso_clock_getres");
	os_set_vdso(gettime);
	syscall_fn = libc_function("syscall");
	time_set_vdso(gettime, getres, (void *)syscall_fn);
	vdso_replace(gettime, (void *)time_vdso_clock_gettime);
	vdso_replace(getres, (void *)time_vdso_clock_getres);
	set_runtime_options();
	find_helper();
	drop_rseq();
	const struct rewrite_config rc = { (void *)entry_baseline,
					   (void *)(entry_xsave_size ? entry_extended : entry_baseline), is_served,
					   loaded_changed, gs_share, locks_found, unseen_site };
	if (rewrite_init(&rc) != 0) {
		sigaction(SIGSYS, &programs, NULL);
		say("preloom: out of memory; running on kernel threads\n");
		return false;
	}
	arch_leave_slow = shim_leave;
	shim_is_raw_site = is_raw_site;
	futex_init();
	rt_opt.cpus = options_cpus();
	sched_init(procs);
	adopt_main(main_g, gs);
	const struct sig_config sc = { (uintptr_t)__ehdr_start, (uintptr_t)etext, (uintptr_t)_end, tramp_contains, next_ip,
				       restart_ip, resume_ip, program_ip };
	sigaction(SIGSYS, &programs, NULL);
	sig_init(&sc);
	inspect_init((uintptr_t)__ehdr_start, (uintptr_t)etext);
	netpoll_init(); /* now: later, another thread might see a low number in use for a moment */
	adopt_files();
	rt_opt.logfd = open_log();
	if (options.keeplocks)
		smplocks_keep("PRELOOM=keeplocks");
	else if (findlocks_shared_memory())
		smplocks_keep("shared memory from before the first thread");
	rewrite_new();
	dlhook_install(rewrite_new);
	profopt_start();
	inspect_from_start();
	inspect_ready();
	const char *no_locks = options.lockcheck ? locks_watch() : "";
	rt_opt.lockcheck = !no_locks;
	if (no_locks && *no_locks)
		rt_printf(rt_opt.logfd, "preloom: PRELOOM=lockcheck: %s; locks are not checked\n", no_locks);
	if (options.sites)
		sites_print(rt_opt.logfd);
	if (arch_gs_shared)
		arch_set_gs((void *)gs);
	return true;
}
