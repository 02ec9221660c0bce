/* unwind_time.c - what one frame costs: our unwinder, with and without its cache, and libunwind with its own cache.
 *
 * Not one of scripts/bench: build the target unwind_time and run it. Prints nanoseconds per frame over stacks of 10 to 100
 * frames, the least of several rounds.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include "objtab.h"
#include "sigframe.h"

#define ROUNDS 20
#define TIMES 2000

static struct unwind_object objects[256];
static uint32_t nobjects;
static struct unwind_cache cache;

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

static bool find_object(void *ctx, uintptr_t pc, struct unwind_object *o)
{
	(void)ctx;
	return objtab_find(pc, o);
}

static struct unwind_space space = { read_direct, find_object, NULL, NULL, 0 };

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int by_us(const ucontext_t *uc)
{
	uintptr_t pc[256];
	struct unwind u;
	unwind_from_kuc(&u, &space, (const struct kuc *)uc);
	return (int)unwind_trace(&u, pc, 256);
}

static int by_libunwind(const ucontext_t *uc)
{
	unw_cursor_t c;
	unw_word_t pc;
	int n = 0;
	unw_init_local(&c, (unw_context_t *)uc);
	do {
		unw_get_reg(&c, UNW_REG_IP, &pc);
		n++;
	} while (unw_step(&c) > 0);
	return n;
}

static int by_unw_backtrace(const ucontext_t *uc)
{
	void *pc[256];
	(void)uc;
	return unw_backtrace(pc, 256);
}

static double least(int (*f)(const ucontext_t *), const ucontext_t *uc, int times, int *frames)
{
	double best = 1e18;
	for (int r = 0; r < ROUNDS; r++) {
		double begin = now();
		for (int i = 0; i < times; i++)
			*frames = f(uc);
		double t = (now() - begin) / times / *frames;
		best = t < best ? t : best;
	}
	return best;
}

__attribute__((noinline)) static int deep(int n)
{
	if (n > 0)
		return deep(n - 1) + 1;
	ucontext_t uc;
	int frames;
	getcontext(&uc);
	space.cache = &cache;
	double ours = least(by_us, &uc, TIMES, &frames);
	printf("%d frames: ours %.1f ns a frame", frames, ours);
	space.cache = NULL;
	printf(", without cache %.0f", least(by_us, &uc, TIMES / 20, &frames));
	printf(", unw_step %.0f", least(by_libunwind, &uc, TIMES / 20, &frames));
	printf(", unw_backtrace (its fast path) %.1f\n", least(by_unw_backtrace, &uc, TIMES, &frames));
	return 0;
}

int main(void)
{
	dl_iterate_phdr(add_object, NULL);
	objtab_set(objects, nobjects);
	unw_set_caching_policy(unw_local_addr_space, UNW_CACHE_PER_THREAD);
	return deep(7) + deep(27) + deep(97) > 0 ? 0 : 1;
}
