/* rewrite_time.c - how long it takes to find, decode and rewrite the system calls of the objects of this process.
 *
 * Runs the rewriter on itself: every served number then goes through an entry stub that only makes the call. Prints the
 * time and the counts. Argument: `a` serves all numbers instead of those of the table, `l` lists the sites.
 */
#include <asm/unistd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "preload/rewrite.h"

extern char entry[];
extern unsigned long entry_calls;
__asm__(".text\n.globl entry\nentry:\n\tlock incq entry_calls(%rip)\n\tsyscall\n\tret\n"
	".data\n.globl entry_calls\nentry_calls: .quad 0\n.text\n");

#if __has_include("shims/table.h")
#define SYSCALL(nr, shim) [nr] = true,
static const bool table[512] = {
#include "shims/table.h"
};
#else
static const bool table[512] = {[0 ... 511] = true};
#endif

static bool all;

/* But not those whose child comes back on another stack: the stub knows nothing of that. */
static bool served(unsigned nr)
{
	if (nr == __NR_clone || nr == __NR_fork || nr == __NR_vfork || nr == __NR_clone3 || nr >= 512)
		return false;
	return all || table[nr];
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	struct rewrite_config c = {entry, entry, served, NULL, NULL, NULL, NULL};
	struct rewrite_counts n;
	double begin = now(), end;
	int sites;

	all = argc > 1 && strchr(argv[1], 'a');
	rewrite_init(&c);
	sites = rewrite_all();
	end = now();
	if (argc > 1 && strchr(argv[1], 'l'))
		sites_print(1);
	rewrite_count(&n);
	printf("%d sites rewritten in %.0f us: %u objects, %u sites, %u rewritten, %u not needed, %u refused; %lu calls since\n",
	       sites, end - begin, n.objects, n.sites, n.rewritten, n.not_needed, n.refused, entry_calls);
	return system("true") != 0;
}
