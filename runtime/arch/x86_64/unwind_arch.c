/* unwind_arch.c - the first frame of an unwinding on x86-64, and the trampolines.
 *
 * A trampoline has no unwind information of its own. It needs none: before and after its call it changes nothing that the
 * information of the original place does not describe, except the stack pointer, which it moves past the red zone. So a
 * place in it stands for the place that it was copied from. See preload/arch/x86_64/tramp.c.
 */
#include "sigframe.h"
#include "unwind.h"

#define CALL_SIZE 6
#define LEA_SIZE 5
#define UNLEA_SIZE 8

/* rbx, rbp, r12, r13, r14, r15 */
const uint8_t unwind_saved[UNWIND_SAVED] = { 3, 6, 12, 13, 14, 15 };

void unwind_from_kuc(struct unwind *u, struct unwind_space *s, const struct kuc *uc)
{
	const uint64_t reg[UNWIND_REGS] = { uc->ax, uc->dx, uc->cx, uc->bx, uc->si, uc->di, uc->bp, uc->sp, uc->r8,
					    uc->r9, uc->r10, uc->r11, uc->r12, uc->r13, uc->r14, uc->r15, uc->ip };
	unwind_start(u, s, reg, true);
}

bool unwind_from_switch(struct unwind *u, struct unwind_space *s, uintptr_t sp)
{
	uint64_t w[7]; /* r15 r14 r13 r12 rbx rbp, return address */
	_Static_assert(SWITCH_RET - SWITCH_GPR == 6 * 8 && SWITCH_SIZE == SWITCH_RET + 8, "the frame of arch_mcall");
	if (s->read(s->ctx, w, sp + SWITCH_GPR, sizeof(w)))
		return false;
	const uint64_t reg[UNWIND_REGS] = { [3] = w[4], [6] = w[5], [UNWIND_SP] = sp + SWITCH_SIZE, [12] = w[3],
					    [13] = w[2], [14] = w[1], [15] = w[0], [UNWIND_PC] = w[6] };
	unwind_start(u, s, reg, false);
	return true;
}

void unwind_from_site(struct unwind *u, struct unwind_space *s, const struct regs *r, uintptr_t at)
{
	const uint64_t reg[UNWIND_REGS] = { r->rax, r->rdx, 0, r->rbx, r->rsi, r->rdi, r->rbp, at + REGS_SIZE, r->r8,
					    r->r9, r->r10, 0, r->r12, r->r13, r->r14, r->r15, r->ret };
	unwind_start(u, s, reg, false);
}

bool unwind_out_of_tramp(const struct unwind_site *t, uint64_t *pc, uint64_t *sp, bool *exact)
{
	uintptr_t at = *pc, lea = t->ret - CALL_SIZE - LEA_SIZE, done = t->ret + UNLEA_SIZE;
	if (at >= lea + LEA_SIZE && at < done)
		*sp += RED_ZONE;
	if (at < lea) {
		*pc = t->span + (at - t->tramp);
		if (*pc > t->addr)
			return false;
	} else if (at < t->ret) {
		*pc = t->addr;
	} else if (at < done) {
		*pc = t->next;
		*exact = false; /* as if the syscall were a call: its function is the one to name */
	} else {
		*pc = t->next + (at - done);
		if (*pc > t->span_end)
			*pc = t->span_end;
	}
	return true;
}
