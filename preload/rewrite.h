/* rewrite.h - replaces system calls in the loaded objects by jumps to the entry stub.
 *
 * A site is one `syscall` instruction. A rewritten site jumps (5 bytes, e9) to a trampoline of its own:
 *
 *     displaced instructions from before the syscall          with the site's own stack pointer
 *     lea -128(%rsp),%rsp                                     past the red zone
 *     call *slot(%rip)                                        the entry stub; the return address identifies the site
 *     lea 128(%rsp),%rsp
 *     displaced instructions from after the syscall
 *     jmp to the first instruction that was not displaced
 *
 * Only the 5 bytes of the jump are written: what else of the span was displaced stays in place, so that a branch to
 * one of those instructions still does what it did (it enters the kernel if it gets to the syscall).
 */
#ifndef PRELOOM_REWRITE_H
#define PRELOOM_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum site_state {
	SITE_REWRITTEN,
	SITE_NOT_NEEDED, /* a number that is never served; left alone */
	SITE_REFUSED,	 /* cannot be moved safely; left alone */
};

enum site_reason {
	REASON_NONE,
	REASON_SIGRETURN,	 /* unwinders recognise the bytes of rt_sigreturn */
	REASON_BRANCH_TO_SITE,	 /* rewritten, but a branch comes in behind the jump and enters the kernel */
	REASON_NO_BOUNDS,	 /* no FDE and no symbol: instruction boundaries are not certain */
	REASON_NO_SPAN,		 /* no 5 bytes around the syscall that can be displaced */
	REASON_BRANCH_INTO_SPAN, /* ... without breaking a branch into them */
	REASON_INDIRECT,	 /* ... without breaking a jump table, perhaps */
	REASON_NO_ROOM,		 /* no memory for the trampoline within reach */
	REASON_NOT_WRITABLE,	 /* mprotect refused */
};

struct site {
	uintptr_t addr;		  /* of the syscall instruction */
	uintptr_t next;		  /* addr + 2: what the kernel would return to */
	uintptr_t span, span_end; /* the displaced instructions */
	uintptr_t tramp;	  /* 0 if none */
	uintptr_t ret;		  /* return address of the call in the trampoline */
	uintptr_t restart;	  /* see site_restart */
	int nr;			  /* constant number or -1 */
	uint8_t state, reason;
};

struct object_list;
struct segment;

struct rewrite_config {
	void *entry;	  /* for libc and ld.so: baseline x86-64 code */
	void *entry_full; /* for all others: saves AVX state too */
	bool (*served)(unsigned nr);
	void (*changed)(const struct object_list *l); /* after each rewrite_all, signals blocked; may be NULL */
	bool (*wrgsbase)(void); /* an object has this instruction; may be NULL */
	/* findlocks.h: the prefixes in one text segment of libc, before it is written; in memory that stays; may be NULL */
	void (*locks)(const uintptr_t *at, size_t n, const struct segment *text);
	void (*unseen)(void); /* a site that could share memory enters the kernel by itself; may be NULL */
};

/* Counts over all objects; rewrite_count. */
struct rewrite_counts {
	unsigned objects, sites, rewritten, not_needed, refused;
};

int rewrite_init(const struct rewrite_config *c);

/* Rewrites every object not seen yet; returns the number of newly rewritten sites or -errno. The caller serialises
 * the calls. No other thread may be running code of the new objects. */
int rewrite_all(void);

/* The lookups are async-signal-safe and take no lock. */
const struct site *site_of_ret(uintptr_t ret);
const struct site *site_of_addr(uintptr_t ip); /* ip in [span, span_end) or == next */

/* An original address inside a span -> where execution goes on equivalently, in the trampoline, with the site's own
 * stack pointer. The start of the span and every other address -> itself. The address `next` of a site whose
 * following instructions were displaced -> their copy. */
uintptr_t site_resume(uintptr_t ip);

/* An address in a trampoline -> the program's own that it stands for, and the stack pointer there; others -> 0. */
uintptr_t site_original(uintptr_t ip, uintptr_t *sp);

/* Where to resume with the site's own stack pointer so that the call is made again with the registers as they are.
 * rax must hold the number if it is not constant; otherwise it is loaded again. */
uintptr_t site_restart(const struct site *s);

bool tramp_contains(uintptr_t ip);

void rewrite_count(struct rewrite_counts *n);

/* Per object the counts, and then a line per site. */
void sites_print(int fd);

#endif
