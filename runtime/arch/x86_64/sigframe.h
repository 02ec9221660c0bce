/* sigframe.h - the kernel's signal frame on x86-64, and what is done with one.
 */
#ifndef PRELOOM_SIGFRAME_H
#define PRELOOM_SIGFRAME_H

#include "sig.h"
#include "arch.h"

struct kstack {
	uintptr_t sp;
	int32_t flags, pad;
	uint64_t size;
};

/* The kernel's struct ucontext. */
struct kuc {
	uint64_t flags;
	uintptr_t link;
	struct kstack stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uintptr_t fpstate;
	uint64_t reserved[8];
	uint64_t sigmask;
};
_Static_assert(sizeof(struct kuc) == 304, "ucontext");
_Static_assert(offsetof(struct kuc, sp) == 160 && offsetof(struct kuc, ip) == 168, "ucontext: CFI in sigframe.S");

struct kframe {
	uintptr_t restorer;
	struct kuc uc;
	struct ksiginfo info;
};

struct sigdelivery;

/* A context that handlers are piled on: registers, and where the floating-point state is (uc.fpstate; 0: initial). */
bool arch_sig_push(struct kuc *c, struct g *g, const struct sigdelivery *d);
/* The same for a function of ours that takes no argument and may park; false if there is no room. */
bool arch_sig_push_call(struct kuc *c, struct g *g, void (*fn)(void));
/* The program's context at the end of a shim. fp must have room for arch_fpsize() bytes, 64-aligned. */
void arch_sig_site(struct kuc *c, const struct regs *r, long ret, const void *xstate, void *fp);
void arch_sig_site_restart(struct kuc *c, const struct regs *r);
/* The same for one that was interrupted in arch_leave: rax and the floating-point state are the program's already. */
void arch_sig_leaving(struct kuc *c, const struct regs *r);
size_t arch_fpsize(void);
void arch_sig_init(void);
struct kstack arch_sig_mstack(void);
bool on_altstack(const struct g *g, uintptr_t sp);
void altstack_restore(struct g *g, const struct kstack *st, uintptr_t sp);

/* Restores uc by rt_sigreturn and ends the shim (flags[0], inshim, becomes 0), unless flags[2], interrupt, is set: then it
 * returns. A handler that interrupts it between the labels takes it as done: the context is uc, in rdi. */
void arch_sig_commit(struct kuc *uc, _Atomic uint32_t *flags);
extern const char arch_commit_begin[], arch_commit_end[];

/* Calls fn(arg) on the M's signal stack, where nothing may park. */
long arch_on_sigstack(long (*fn)(void *), void *arg, uintptr_t top);

extern const char preloom_sigreturn[]; /* where handlers return to */
extern const char arch_restorer[];     /* for the kernel's own frames */

#endif
