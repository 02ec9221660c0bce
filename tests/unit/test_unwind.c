/* test_unwind.c - the unwinder, against libunwind and glibc's backtrace on the same stacks: at every instruction of code of
 * libc, ld.so, libstdc++ and of the test itself (single-stepped by the trap flag), in handlers, on alternate stacks; then
 * its own parts: expressions, trampolines, the cache, and garbage in the place of stacks and of unwind information. */
#define UNW_LOCAL_ONLY
#include "unit.h"
#include <execinfo.h>
#include <libunwind.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include "objtab.h"
#include "sigframe.h"

#define DEEP 200

int unwind_cxx(int n);

/* --- this process as a space --- */

static struct unwind_object objects[256];
static uint32_t nobjects;

static int add_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	struct unwind_object o = { .kind = UnwindElf };
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME) {
			o.info = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			o.size = (uint32_t)info->dlpi_phdr[i].p_memsz;
		}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		o.lo = info->dlpi_addr + p->p_vaddr;
		o.hi = o.lo + p->p_memsz;
		ck_assert(nobjects < nelem(objects));
		objects[nobjects++] = o;
	}
	return 0;
}

static int read_direct(void *ctx, void *to, uintptr_t from, size_t n)
{
	(void)ctx;
	memcpy(to, (const void *)from, n);
	return 0;
}

/* Fails for what is not mapped. */
static int read_carefully(void *ctx, void *to, uintptr_t from, size_t n)
{
	struct iovec l = { to, n }, r = { (void *)from, n };
	(void)ctx;
	return process_vm_readv(getpid(), &l, 1, &r, 1, 0) == (ssize_t)n ? 0 : -1;
}

static bool find_object(void *ctx, uintptr_t pc, struct unwind_object *o)
{
	(void)ctx;
	return objtab_find(pc, o);
}

static struct unwind_cache cache;
static struct unwind_space space = { read_direct, find_object, NULL, NULL, 0 };

static void load_objects(void)
{
	nobjects = 0;
	dl_iterate_phdr(add_object, NULL);
	objtab_set(objects, nobjects);
}

static struct kuc *kuc_of(void *uc)
{
	return uc; /* the kernel's layout is the C library's */
}

/* --- against the oracles --- */

static uint32_t by_libunwind(ucontext_t *uc, uintptr_t *pc, uint32_t n)
{
	unw_cursor_t c;
	unw_word_t ip;
	uint32_t k = 0;
	bool exact = true;
	unw_init_local2(&c, uc, UNW_INIT_SIGNAL_FRAME);
	for (;;) {
		unw_get_reg(&c, UNW_REG_IP, &ip);
		if (!ip)
			return k;
		pc[k++] = exact ? ip : ip - 1;
		if (k == n || unw_step(&c) <= 0)
			return k;
		exact = unw_is_signal_frame(&c) > 0; /* stepped out of one */
	}
}

static struct {
	uint64_t compared, same, frames;
	uintptr_t ours[64], theirs[64];
	uint32_t nours, ntheirs;
	uint8_t end;
} seen;

static void compare(ucontext_t *uc)
{
	uintptr_t a[64], b[64];
	struct unwind u;
	unwind_from_kuc(&u, &space, kuc_of(uc));
	uint32_t n = unwind_trace(&u, a, 64), k = by_libunwind(uc, b, 64);
	seen.compared++;
	seen.frames += n;
	if (n == k && !memcmp(a, b, n * sizeof(a[0]))) {
		seen.same++;
		return;
	}
	seen.nours = n;
	seen.ntheirs = k;
	seen.end = u.end;
	memcpy(seen.ours, a, sizeof(a));
	memcpy(seen.theirs, b, sizeof(b));
}

static void show(const char *what, const uintptr_t *pc, uint32_t n)
{
	printf("%s:", what);
	for (uint32_t i = 0; i < n; i++)
		printf(" %lx", pc[i]);
	printf("\n");
}

static void check_same(double at_least)
{
	if (seen.same != seen.compared) {
		char line[64];
		show("ours  ", seen.ours, seen.nours);
		show("theirs", seen.theirs, seen.ntheirs);
		printf("end %d; %lu of %lu the same\n", seen.end, seen.same, seen.compared);
		FILE *f = fopen("/proc/self/maps", "r");
		while (getenv("UNWIND_MAPS") && f && fgets(line, sizeof(line), f))
			fputs(line, stdout);
		fclose(f);
	}
	ck_assert(seen.compared > 0);
	ck_assert((double)seen.same >= at_least * (double)seen.compared);
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)info;
	compare(uc);
}

static void handle(int sig, int flags, void (*fn)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };
	sigaction(sig, &sa, NULL);
}

static uint64_t budget; /* instructions still to be stepped */

static void on_trap(int sig, siginfo_t *info, void *uc)
{
	static uint64_t n;
	(void)sig, (void)info;
	if (budget == 0 || --budget == 0)
		((ucontext_t *)uc)->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
	if (n++ % 17 == 0 || n < 3000) /* libunwind takes its time */
		compare(uc);
}

static void trap_flag(bool on)
{
	if (on)
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	else
		__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) static int c_code(int n)
{
	int v[64];
	char text[200];
	for (int i = 0; i < 64; i++)
		v[i] = i * n * 7919 % 257;
	qsort(v, 64, sizeof(v[0]), compare_ints);
	snprintf(text, sizeof(text), "%d %s %g %p", v[0], "text", n / 3.0, (void *)v);
	char *p = strdup(text), *q = realloc(p, 5000);
	int r = (int)strlen(q) + atoi(q) + (int)strtol("0x123", NULL, 0);
	free(q);
	return r + (getenv("HOME") != NULL) + (int)write(-1, text, 1);
}

START_TEST(every_instruction_of_c)
{
	load_objects();
	handle(SIGTRAP, 0, on_trap);
	budget = 60000;
	trap_flag(true);
	c_code(3);
	trap_flag(false);
	ck_assert(seen.compared > 2000);
	check_same(1);
}
END_TEST

/* The first calls go through ld.so's resolver. */
START_TEST(every_instruction_of_cxx)
{
	load_objects();
	handle(SIGTRAP, 0, on_trap);
	budget = 120000;
	trap_flag(true);
	unwind_cxx(4);
	trap_flag(false);
	ck_assert(seen.compared > 2000);
	/* libgcc's jump to a landing pad is between two frames for some instructions. */
	check_same(0.999);
}
END_TEST

START_TEST(with_the_cache)
{
	load_objects();
	space.cache = &cache;
	handle(SIGTRAP, 0, on_trap);
	budget = 60000;
	trap_flag(true);
	c_code(3);
	c_code(4);
	unwind_cxx(2);
	trap_flag(false);
	check_same(0.999);
}
END_TEST

START_TEST(on_an_alternate_stack)
{
	static char stack[128 << 10];
	stack_t st = { .ss_sp = stack, .ss_size = sizeof(stack) };
	load_objects();
	sigaltstack(&st, NULL);
	handle(SIGUSR1, SA_ONSTACK, on_signal);
	raise(SIGUSR1);
	check_same(1);
	ck_assert(seen.frames > 5);
}
END_TEST

/* From within a handler, through the signal frame. */
static void nested(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)info, (void)uc;
	raise(SIGUSR2);
}

START_TEST(through_a_signal_frame)
{
	load_objects();
	handle(SIGUSR1, 0, nested);
	handle(SIGUSR2, 0, on_signal);
	raise(SIGUSR1);
	ck_assert_uint_eq(seen.compared, 1);
	check_same(1);
	ck_assert(seen.frames > 10);
}
END_TEST

__attribute__((noinline)) static int deep(int n)
{
	void *theirs[DEEP];
	uintptr_t ours[DEEP];
	if (n > 0)
		return deep(n - 1) + 1;
	ucontext_t uc;
	getcontext(&uc);
	struct unwind u;
	unwind_from_kuc(&u, &space, kuc_of(&uc));
	int k = backtrace(theirs, DEEP), i = (int)unwind_trace(&u, ours, DEEP);
	ck_assert(k > 100);
	ck_assert_int_eq(i, k);
	for (i = 1; i < k; i++)
		ck_assert_uint_eq(ours[i], (uintptr_t)theirs[i] - 1);
	ck_assert_int_eq(u.end, UnwindOutermost);
	return 0;
}

START_TEST(as_backtrace_says)
{
	load_objects();
	ck_assert_int_eq(deep(100), 100);
	space.cache = &cache;
	ck_assert_int_eq(deep(100), 100);
	ck_assert_int_eq(deep(100), 100);
}
END_TEST

/* --- parts --- */

static uint64_t eval(const uint8_t *code, uint32_t n)
{
	uint64_t reg[UNWIND_REGS] = { [7] = 1000, [16] = 0x401016 }, r = 0;
	ck_assert(unwind_expr(&space, (uintptr_t)code, n, reg, NULL, &r));
	return r;
}

START_TEST(expressions)
{
	/* An entry of the PLT: rsp + 8 + (((rip & 15) >= 11) << 3) */
	static const uint8_t plt[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22 };
	static const uint8_t loop[] = { 0x2f, 0xfd, 0xff };		/* skip -3 */
	static const uint8_t branch[] = { 0x31, 0x28, 1, 0, 0x30, 0x35 }; /* lit1 bra +1 lit0 lit5 */
	static const uint8_t minus[] = { 0x09, 0x80, 0x1f };		/* const1s -128 neg */
	static const uint8_t shra[] = { 0x0b, 0xf0, 0xff, 0x32, 0x26 };	/* const2s -16 lit2 shra */
	static const uint8_t empty[] = { 0x22 };
	uint64_t reg[UNWIND_REGS] = { 0 }, r;
	ck_assert_uint_eq(eval(plt, sizeof(plt)), 1008);
	ck_assert_uint_eq(eval(branch, sizeof(branch)), 5);
	ck_assert_uint_eq(eval(minus, sizeof(minus)), 128);
	ck_assert_int_eq((int64_t)eval(shra, sizeof(shra)), -4);
	ck_assert(!unwind_expr(&space, (uintptr_t)loop, sizeof(loop), reg, NULL, &r));
	ck_assert(!unwind_expr(&space, (uintptr_t)empty, sizeof(empty), reg, NULL, &r));
}
END_TEST

START_TEST(trampolines)
{
	/* The second site has no trampoline. */
	static const struct unwind_site sites[] = {
		{ 0x1005, 0x1007, 0x1000, 0x1007, 0x9010, 0x9020 },
		{ 0x1105, 0x1107, 0x1100, 0x1107, 0, 0x9020 },
		{ 0x1208, 0x120a, 0x1203, 0x120d, 0x9040, 0x9050 },
	};
	static const struct {
		uintptr_t pc, is;
		uint64_t sp;
		bool exact;
	} want[] = {
		{ 0x9020, 0x1007, 1128, false }, { 0x9010, 0x1000, 1000, true }, { 0x9015, 0x1005, 1000, true },
		{ 0x901a, 0x1005, 1128, true },	 { 0x9028, 0x1007, 1000, true }, { 0x9050, 0x120a, 1128, false },
		{ 0x9058, 0x120a, 1000, true },	 { 0x905b, 0x120d, 1000, true },
	};
	struct unwind_object o = { 0x9000, 0x9080, (uintptr_t)sites, 3, UnwindTramp, sizeof(sites[0]) };
	objtab_set(&o, 1);
	for (size_t i = 0; i < nelem(want); i++) {
		uint64_t reg[UNWIND_REGS] = { [UNWIND_SP] = 1000, [UNWIND_PC] = want[i].pc };
		struct unwind u;
		unwind_start(&u, &space, reg, want[i].exact);
		ck_assert_uint_eq(u.reg[UNWIND_PC], want[i].is);
		ck_assert_uint_eq(u.reg[UNWIND_SP], want[i].sp);
		ck_assert(u.exact == want[i].exact);
	}
}
END_TEST

START_TEST(the_cache_forgets)
{
	struct unwind_rule r, got;
	memset(&r, 0, sizeof(r)); /* padding too */
	memset(&got, 0, sizeof(got));
	r.kind = SimpleRules;
	r.cfa_reg = 7;
	r.cfa_off = -123456;
	memcpy(r.saved, (const int16_t[]){ -2, 3, 0, -32768, 32767, 1 }, sizeof(r.saved));
	space.cache = &cache;
	unwind_cache_put(&space, 0x1234, 0, &r);
	ck_assert(unwind_cache_get(&space, 0x1234, &got));
	ck_assert_mem_eq(&r, &got, sizeof(r));
	ck_assert(!unwind_cache_get(&space, 0x1235, &got));
	atomic_fetch_add(&space.generation, 1);
	ck_assert(!unwind_cache_get(&space, 0x1234, &got));
}
END_TEST

/* --- garbage --- */

static uint64_t rng = 88172645463325252ULL;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	return rng ^= rng << 17;
}

static uintptr_t spoil_lo, spoil_hi;
static uint64_t reads;

/* Every 16th byte of the unwind information is another one. */
static int read_spoilt(void *ctx, void *to, uintptr_t from, size_t n)
{
	reads++;
	if (read_carefully(ctx, to, from, n))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (from + i >= spoil_lo && from + i < spoil_hi && rnd() % 16 == 0)
			((uint8_t *)to)[i] = (uint8_t)rnd();
	return 0;
}

START_TEST(garbage_ends)
{
	load_objects();
	struct unwind_space s = { read_spoilt, find_object, NULL, NULL, 0 };
	uintptr_t pc[64];
	ucontext_t uc;
	getcontext(&uc);
	for (int i = 0; i < 20000; i++) {
		struct unwind u;
		struct kuc k = *kuc_of(&uc);
		const struct unwind_object *o = &objects[rnd() % nobjects];
		spoil_lo = o->info;
		spoil_hi = o->info ? o->info + 0x100000 : 0;
		if (i % 2)
			k.ip = o->lo + rnd() % (o->hi - o->lo);
		if (i % 3 == 1)
			k.sp += rnd() % 4096;
		if (i % 3 == 2)
			k.sp = k.bp = rnd();
		reads = 0;
		unwind_from_kuc(&u, &s, &k);
		unwind_trace(&u, pc, 64);
		ck_assert(reads < 200000);
	}
}
END_TEST

UNIT_MAIN("unwind", every_instruction_of_c, every_instruction_of_cxx, with_the_cache, on_an_alternate_stack,
	  through_a_signal_frame, as_backtrace_says, expressions, trampolines, the_cache_forgets, garbage_ends)
