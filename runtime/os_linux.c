/* os_linux.c - the contract of os.h on Linux, by raw system calls.
 *
 * The clock is the vDSO's, found through the auxiliary vector by os_set_vdso (preload/ knows the vector). The M's
 * kernel threads share everything but the stack; FS is set whenever a G is run.
 */
#include "gs.h"
#include "os_linux.h"
#include "runtime.h"
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/time.h>

#define HUGE (2UL << 20) /* the least size of huge pages */

static int (*vdso_clock_gettime)(int, struct __kernel_timespec *);

void os_set_vdso(void *clock_gettime)
{
	vdso_clock_gettime = (int (*)(int, struct __kernel_timespec *))clock_gettime;
}

/* Ids of clocks: a kernel thread's CPU time has its id in the upper bits; the calling one's. */
#define CPUCLOCK_THREAD 6
#define CLOCK_THREAD 3

int64_t os_clock(int clock)
{
	struct __kernel_timespec ts;
	if (likely(vdso_clock_gettime != NULL))
		vdso_clock_gettime(clock, &ts);
	else
		sys2(__NR_clock_gettime, clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t os_nanotime(void)
{
	return os_clock(1);
}

int64_t os_walltime(void)
{
	return os_clock(0);
}

int64_t os_cputime(int tid)
{
	struct __kernel_timespec ts;
	if (sys2(__NR_clock_gettime, tid ? (int)(~(uint32_t)tid << 3) | CPUCLOCK_THREAD : CLOCK_THREAD, &ts) != 0)
		return -1;
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static struct __kernel_timespec *timespec_of(int64_t ns, struct __kernel_timespec *ts)
{
	if (ns < 0)
		return NULL;
	ts->tv_sec = ns / NSEC_PER_SEC;
	ts->tv_nsec = ns % NSEC_PER_SEC;
	return ts;
}

int os_futex_sleep(_Atomic uint32_t *addr, uint32_t val, int64_t ns)
{
	struct __kernel_timespec ts;
	return (int)sys4(__NR_futex, addr, FUTEX_WAIT_PRIVATE, val, timespec_of(ns, &ts));
}

void os_timer_slack(int64_t ns)
{
	sys5(__NR_prctl, PR_SET_TIMERSLACK, ns, 0, 0, 0);
}

void os_futex_wake(_Atomic uint32_t *addr, int n)
{
	sys3(__NR_futex, addr, FUTEX_WAKE_PRIVATE, n);
}

void os_futex_wake_shared(uintptr_t addr, int n)
{
	sys3(__NR_futex, addr, FUTEX_WAKE, n);
}

void os_usleep(int64_t ns)
{
	struct __kernel_timespec ts;
	sys2(__NR_nanosleep, timespec_of(ns, &ts), 0);
}

void os_osyield(void)
{
	sys0(__NR_sched_yield);
}

int os_newm(struct m *m)
{
	/* glibc's own set: a sandbox that lets a program make threads may know no other. */
	unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
			      CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	uint64_t all = ~0ULL, old;
	/* No signal before the M has its own pointer in GS, nor a change of this thread's credentials before they are copied. */
	sys4(__NR_rt_sigprocmask, 2, &all, &old, 8);
	const struct m *self = getm();
	if (self && !self->foreign) {
		m->world_result = self->world_result;
		store_rlx(&m->world_seen, load_rlx(&self->world_seen));
	}
	store_rlx(&m->lives, 1);
	long r = arch_clone_m(flags, (void *)(m->g0sp - 8), &m->procid, (int *)&m->lives, m, arch_get_fs());
	sys4(__NR_rt_sigprocmask, 2, &old, 0, 8);
	if (r < 0)
		store_rlx(&m->lives, 0);
	return (int)r;
}

_Noreturn void os_exit_process(int status)
{
	for (;;)
		sys1(__NR_exit_group, status);
}

_Noreturn void os_abort(void)
{
	struct {
		uint64_t handler, flags, restorer, mask;
	} dfl = { 0 };
	uint64_t none = 0;
	sys4(__NR_rt_sigaction, 6, &dfl, 0, 8);
	sys4(__NR_rt_sigprocmask, 2, &none, 0, 8);
	sys3(__NR_tgkill, os_getpid(), os_gettid(), 6);
	os_exit_process(134);
}

int os_getpid(void)
{
	return (int)sys0(__NR_getpid);
}

int os_gettid(void)
{
	return (int)sys0(__NR_gettid);
}

int os_tgkill(int tid, int sig)
{
	return (int)sys3(__NR_tgkill, os_getpid(), tid, sig);
}

static void *map(size_t size, int extra)
{
	long r = sys6(__NR_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | extra, -1, 0);
	return r < 0 && r > -4096 ? NULL : (void *)r;
}

/* Under RLIMIT_AS the program may use address space up, and the runtime still needs some, for a kernel thread's stacks
 * for instance. So a little is set aside, and let go when there is no other. */
#define SPARE (4UL << 20)
#define RLIMIT_AS_NR 9

static _Atomic uintptr_t spare;

static void set_aside(void)
{
	static _Atomic bool done;
	uint64_t limit[2] = { ~0ULL, ~0ULL };
	if (load_rlx(&done) || atomic_exchange(&done, true))
		return;
	sys4(__NR_prlimit64, 0, RLIMIT_AS_NR, 0, limit);
	if (limit[0] != ~0ULL)
		store_rlx(&spare, (uintptr_t)map(SPARE, MAP_NORESERVE));
}

void *os_mmap(size_t size)
{
	set_aside();
	void *p = map(size, 0);
	if (unlikely(!p)) {
		uintptr_t last = atomic_exchange(&spare, 0);
		if (last)
			sys2(__NR_munmap, last, SPARE);
		p = map(size, 0);
	}
	return p;
}

void *os_reserve(size_t size)
{
	void *p = map(size, MAP_NORESERVE);
	if (p)
		sys3(__NR_madvise, p, size, MADV_NOHUGEPAGE);
	return p;
}

int os_renew(void *p, size_t size)
{
	long r = sys6(__NR_mmap, (uintptr_t)p, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (r < 0 && r > -4096)
		return (int)r;
	sys3(__NR_madvise, p, size, MADV_NOHUGEPAGE);
	return 0;
}

void os_munmap(void *p, size_t size)
{
	sys2(__NR_munmap, p, size);
}

int os_madvise(void *p, size_t size, int advice)
{
	return (int)sys3(__NR_madvise, p, size, advice);
}

#define PIDFD_SELF -10000 /* the process's own, Linux 6.15 */

long os_madvise_ranges(const struct os_range *v, uint32_t n, int advice)
{
	return sys5(__NR_process_madvise, PIDFD_SELF, v, n, advice, 0);
}

int os_mprotect(void *p, size_t size, int prot)
{
	return (int)sys3(__NR_mprotect, p, size, prot);
}

bool os_poke(const uintptr_t *at, size_t n, uint8_t byte)
{
	long fd = sys3(__NR_open, "/proc/self/mem", O_WRONLY | O_CLOEXEC, 0), done = fd >= 0;
	for (size_t i = 0; done == 1 && i < n; i++)
		done = sys4(__NR_pwrite64, fd, &byte, 1, at[i]);
	if (fd >= 0)
		sys1(__NR_close, fd);
	return done == 1;
}

void os_thread_init(struct m *m)
{
	arch_set_gs(m);
	m->fs = 0;
	gs_add_m(m);
	sig_m_init(m);
}

/* In huge pages mremap wants an address that is a multiple of their size; in others one of the same size changes nothing. */
static bool is_huge(uintptr_t page)
{
	if (page % HUGE == 0)
		page += 4096;
	return sys5(__NR_mremap, page, 4096, 4096, 0, 0) == -EINVAL;
}

/* mremap of zero bytes duplicates a shared mapping and refuses a private one with EINVAL (Linux 4.14): the one way to tell them
 * apart without /proc. Whatever else keeps it from duplicating one (a limit is reached, it may not be), only a shared one comes so
 * far. Huge pages are refused before: these count as shared, as the kernel knows which they are. */
bool os_is_shared_memory(uintptr_t addr)
{
	uintptr_t page = addr & ~4095UL;
	long r = sys5(__NR_mremap, page, 0, 4096, MREMAP_MAYMOVE, 0);
	if (r < 0 && r > -4096)
		return r != -EINVAL || is_huge(page);
	sys2(__NR_munmap, r, 4096);
	return true;
}

int os_write(int fd, const void *p, size_t n)
{
	return (int)sys3(__NR_write, fd, p, n);
}

int os_epoll_create(void)
{
	return (int)sys1(__NR_epoll_create1, 02000000);
}

int os_eventfd(void)
{
	return (int)sys2(__NR_eventfd2, 0, 02000000 | 04000);
}

int os_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct os_event ev = { events, data };
	return (int)sys4(__NR_epoll_ctl, epfd, op, fd, &ev);
}

int os_epoll_wait(int epfd, struct os_event *ev, int n, int64_t ns)
{
	struct __kernel_timespec ts;
	static _Atomic bool refused; /* by a filter that does not know the call: timers are late by up to a millisecond */
	if (ns != 0 && likely(!load_rlx(&refused))) {
		int r = (int)sys5(__NR_epoll_pwait2, epfd, ev, n, timespec_of(ns, &ts), 0);
		if (likely(r != -ENOSYS && r != -EPERM))
			return r;
		store_rlx(&refused, true);
	}
	int64_t ms = ns < 0 ? -1 : (ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return (int)sys4(__NR_epoll_wait, epfd, ev, n, ms > INT32_MAX ? INT32_MAX : ms);
}
