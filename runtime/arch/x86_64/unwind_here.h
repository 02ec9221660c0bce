/* unwind_here.h - unwinding from the place where one is.
 */
#ifndef PRELOOM_UNWIND_HERE_H
#define PRELOOM_UNWIND_HERE_H

#include "unwind.h"

/* Inline: the frame must still be there while it is unwound. What the caller preserves is all that its frames can need. */
static inline __attribute__((always_inline)) void unwind_from_here(struct unwind *u, struct unwind_space *s)
{
	uint64_t reg[UNWIND_REGS] = { 0 };
	__asm__ volatile("mov %%rbx, 24(%0)\n\t"
			 "mov %%rbp, 48(%0)\n\t"
			 "mov %%rsp, 56(%0)\n\t"
			 "mov %%r12, 96(%0)\n\t"
			 "mov %%r13, 104(%0)\n\t"
			 "mov %%r14, 112(%0)\n\t"
			 "mov %%r15, 120(%0)\n\t"
			 "lea 0f(%%rip), %%rax\n"
			 "0:\tmov %%rax, 128(%0)"
			 :
			 : "r"(reg)
			 : "rax", "memory");
	unwind_start(u, s, reg, true);
}

#endif
