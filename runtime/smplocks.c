/* smplocks.c - libc's lock prefixes, taken out while there is one P.
 *
 * A locked instruction costs some 20 cycles whether or not anybody else wants the memory; the 16 of glibc's condition
 * variables are 60 of the 140 ns that a hand-off takes. With one P only one thread of the program runs at a time, whatever kernel
 * thread it is on, and a P changes hands by atomic operations of the runtime's own. So an instruction that reads and
 * writes memory cannot be seen in its middle, just as on a machine with one CPU; Linux takes the prefixes out of its own text
 * on those (its "SMP alternatives"), in the same way: the prefix f0 becomes 3e, a segment override that means nothing in
 * 64-bit mode. Nothing else of the instruction changes, and no moment is wrong for it: each is right before and after.
 *
 * It is over when somebody else may see the memory that the program's locks are in: a second P, memory that is shared
 * with another process, a process or kernel thread made with CLONE_VM. Each of them comes through a system call that we
 * serve, or through GOMAXPROCS, and is told here before it happens. What was there before activation is looked for in
 * /proc/self/maps (preload/findlocks.c). So that the prefixes can be put back at any time, they stay where they are too when the
 * program limits itself to calls among which changing text may not be.
 *
 * The pages become writable for that moment without losing the right to execute: a child of posix_spawn, which has our
 * memory until it execs, may be running there.
 */
#include "smplocks.h"
#include "os.h"
#include "runtime.h"

#define LOCK_PREFIX 0xf0
#define DS_PREFIX 0x3e
#define WRITABLE 2

static struct {
	const uintptr_t *at;
	size_t n;
	uintptr_t lo, hi;
	int prot;
	const char *why; /* they are kept */
	bool out, half; /* half: being written */
} locks;

/* Writable text counts as data, and the program may have used up what it may have of that (RLIMIT_DATA). */
static bool write_by_file(bool out)
{
	bool done = !out && os_poke(locks.at, locks.n, LOCK_PREFIX);
	if (done)
		locks.out = false;
	locks.half = false;
	return done;
}

/* False: the text cannot be written. */
static bool write_all(bool out)
{
	void *text = (void *)locks.lo;
	size_t size = locks.hi - locks.lo;
	locks.half = true;
	if (os_mprotect(text, size, locks.prot | WRITABLE)) {
		os_mprotect(text, size, locks.prot); /* of several mappings the first may have become so */
		return write_by_file(out);
	}
	for (size_t i = 0; i < locks.n; i++)
		*(volatile uint8_t *)locks.at[i] = out ? DS_PREFIX : LOCK_PREFIX;
	locks.out = out;
	/* None of our threads is in this text now, and what one executes later is what was written: x86 keeps the CPUs'
	 * instruction caches coherent. */
	if (os_mprotect(text, size, locks.prot))
		throw("libc's text cannot be made read-only again");
	locks.half = false;
	return true;
}

void smplocks_follow(void)
{
	bool out = one_p && !locks.why;
	if (locks.out == out || !locks.n)
		return;
	if (write_all(out))
		return;
	if (!out)
		throw("libc's lock prefixes cannot be put back: its text cannot be written any more");
	locks.why = "mprotect";
}

void smplocks_init(const uintptr_t *at, size_t n, uintptr_t lo, uintptr_t hi, int prot)
{
	locks.at = at;
	locks.n = n;
	locks.lo = lo;
	locks.hi = hi;
	locks.prot = prot;
	smplocks_follow();
}

void smplocks_keep(const char *why)
{
	if (likely(locks.why != NULL))
		return;
	locks.why = why;
	smplocks_follow();
}

/* A vfork's child, which has a copy of the memory, may have been made at any moment. */
void smplocks_after_fork(void)
{
	if (locks.half)
		write_all(locks.out);
	smplocks_follow();
}

bool smplocks_is_libc(uintptr_t ip)
{
	return ip >= locks.lo && ip < locks.hi;
}

size_t smplocks_out(const char **why)
{
	*why = locks.why;
	return locks.out ? locks.n : 0;
}
