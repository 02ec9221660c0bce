/* fake_os.c - the functions of os.h for the unit tests; see fake_os.h. */
#include "helper.h"
#include "unit.h"
#include <asm/errno.h>
#include <asm/prctl.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

struct fake fake = { .now = FAKE_START_NS };

/* --- clock --- */

int64_t os_nanotime(void)
{
	return fake.now;
}

int64_t os_walltime(void)
{
	return fake.now;
}

int64_t os_cputime(int tid)
{
	(void)tid;
	return fake.now - fake.off_cpu;
}

/* --- waiting --- */

static void sleep_till(_Atomic uint32_t *note, int64_t ns)
{
	struct fake_m *fm = fake.running;
	if (!fm)
		ck_abort_msg("the test itself would sleep");
	fm->note = note;
	fm->until = ns < 0 ? -1 : fake.now + ns;
	fm->woken = false;
	fake_suspend(MAsleep);
}

int os_futex_sleep(_Atomic uint32_t *addr, uint32_t val, int64_t ns)
{
	if (load_acq(addr) != val)
		return -EAGAIN;
	sleep_till(addr, ns);
	return fake.running->woken ? 0 : -ETIMEDOUT;
}

void os_futex_wake(_Atomic uint32_t *addr, int n)
{
	fake.wakes++;
	for (int i = 0; i < fake.nms && n > 0; i++) {
		struct fake_m *fm = &fake.ms[i];
		if (fm->state == MAsleep && fm->note == addr && !fm->woken) {
			fm->woken = true;
			n--;
		}
	}
}

void os_futex_wake_shared(uintptr_t addr, int n)
{
	(void)addr;
	(void)n;
}

void os_usleep(int64_t ns)
{
	if (fake.running)
		sleep_till(NULL, ns);
	else
		fake.now += ns;
}

void os_osyield(void)
{
}

/* --- kernel threads --- */

int os_newm(struct m *m)
{
	if (fake.newm_error)
		return fake.newm_error;
	if (fake.nms == FAKE_MS)
		ck_abort_msg("more than %d M's", FAKE_MS);
	m->procid = 1000 + fake.nms;
	store_rlx(&m->lives, 1);
	fake.ms[fake.nms++] = (struct fake_m){ .m = m, .state = MNew };
	return m->procid;
}

void os_thread_init(struct m *m)
{
	arch_set_gs(m);
	m->fs = 0;
}

int os_getpid(void)
{
	return 1000;
}

int os_gettid(void)
{
	return 1000;
}

int os_tgkill(int tid, int sig)
{
	(void)sig;
	for (int i = 0; i < fake.nms; i++)
		if (fake.ms[i].m->procid == tid)
			fake.kicked = fake.ms[i].m;
	fake.kicks++;
	return 0;
}

/* --- the end --- */

static jmp_buf *catch;

static _Noreturn void stop(void)
{
	if (fake.running)
		for (;;)
			fake_suspend(MGone);
	if (catch)
		longjmp(*catch, 1);
	ck_abort_msg("the test itself ended the process: %s", fake.text);
	_exit(1);
}

_Noreturn void os_exit_process(int status)
{
	if (!fake.exits)
		ck_abort_msg("exit with status %d: %s", status, fake.text);
	fake.exited = true;
	fake.exit_status = status;
	stop();
}

_Noreturn void os_abort(void)
{
	if (!fake.throws && !catch)
		ck_abort_msg("%s", fake.text);
	fake.thrown = true;
	stop();
}

const char *fake_throw(void (*fn)(void *), void *arg)
{
	jmp_buf here;
	catch = &here;
	if (setjmp(here) == 0)
		fn(arg);
	catch = NULL;
	return fake.thrown ? fake.text : NULL;
}

int os_write(int fd, const void *p, size_t n)
{
	(void)fd;
	size_t room = sizeof(fake.text) - 1 - fake.text_len;
	if (n > room)
		n = room;
	memcpy(fake.text + fake.text_len, p, n);
	fake.text_len += n;
	return (int)n;
}

/* --- memory: the kernel's own, but guards are only noted, since not every kernel has them --- */

static void *map(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void *os_mmap(size_t size)
{
	return map(size, 0);
}

void *os_reserve(size_t size)
{
	return map(size, MAP_NORESERVE);
}

int os_renew(void *p, size_t size)
{
	return mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : -12;
}

void os_munmap(void *p, size_t size)
{
	munmap(p, size);
}

int os_madvise(void *p, size_t size, int advice)
{
	fake.madvises[advice & 255]++;
	if (advice == MADV_GUARD_INSTALL && fake.guard_error)
		return fake.guard_error;
	if (advice == MADV_GUARD_INSTALL) {
		fake.guard_lo = (uintptr_t)p;
		fake.guard_hi = (uintptr_t)p + size;
	}
	if ((advice == MADV_DONTNEED && fake.locked) || (advice == MADV_DONTNEED_LOCKED && fake.locked_stays))
		return -EINVAL;
	if (advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED)
		return madvise(p, size, MADV_DONTNEED);
	if (advice == MADV_POPULATE_WRITE)
		return fake.no_populate ? -EINVAL : madvise(p, size, advice);
	return 0;
}

long os_madvise_ranges(const struct os_range *v, uint32_t n, int advice)
{
	long done = 0;
	if (fake.no_ranges)
		return -9;
	for (uint32_t i = 0; i < n; i++) {
		int err = os_madvise(v[n - 1 - i].p, v[n - 1 - i].size, advice); /* so that the caller's own is the last */
		if (err)
			return err;
		done += (long)v[i].size;
	}
	return done;
}

int os_mprotect(void *p, size_t size, int prot)
{
	fake.mprotects++;
	if (fake.mprotect_fails)
		return -12;
	if (prot == PROT_NONE) {
		fake.guard_lo = (uintptr_t)p;
		fake.guard_hi = (uintptr_t)p + size;
	}
	return 0;
}

void os_timer_slack(int64_t ns)
{
	(void)ns;
}

bool os_poke(const uintptr_t *at, size_t n, uint8_t byte)
{
	for (size_t i = 0; i < n && fake.poke_works; i++)
		*(uint8_t *)at[i] = byte;
	return fake.poke_works;
}

bool os_is_shared_memory(uintptr_t addr)
{
	(void)addr;
	return false;
}

/* --- the command for reports is not started --- */

int helper_start(const struct helper_request *r)
{
	(void)r;
	return -ENOSYS;
}

int helper_run(const char *const *words, int out)
{
	(void)words, (void)out;
	return HELPER_NOT_FOUND;
}

int helper_result(int pid, bool wait)
{
	(void)pid;
	(void)wait;
	return -ENOSYS;
}

void helper_wait_idle(void)
{
}

void helper_after_fork(void)
{
}

int helper_command(const char *const *words)
{
	(void)words;
	return -ENOENT;
}
