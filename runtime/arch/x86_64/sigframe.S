/* sigframe.S - leaving handlers, and the one instruction sequence that enters them.
 *
 * preloom_sigreturn   return address of every handler: rsp points to the frame's struct kuc. Its unwind information says,
 *                     as libc's __restore_rt does, that the caller's registers are in that structure; unwinders,
 *                     forced unwinding by pthread_cancel and debuggers pass through handlers by it.
 * arch_commit         rdi: struct kuc to restore, rsi: &inshim, preempt, interrupt. Between the labels a handler takes
 *                     the rt_sigreturn as done, so no signal slips in between the last look and the program.
 */

#include "arch.h"

/* Offsets in struct kuc. */
#define UC_R8 40
#define UC_R9 48
#define UC_R10 56
#define UC_R11 64
#define UC_R12 72
#define UC_R13 80
#define UC_R14 88
#define UC_R15 96
#define UC_DI 104
#define UC_SI 112
#define UC_BP 120
#define UC_BX 128
#define UC_DX 136
#define UC_AX 144
#define UC_CX 152
#define UC_SP 160
#define UC_IP 168

/* DW_CFA_expression: register `reg` is saved at (base register) + off; both offsets need two bytes of SLEB128. */
#define SAVED(reg, breg, off) \
	.cfi_escape 0x10, reg, 3, breg, (off & 0x7f) | 0x80, off >> 7
/* DW_CFA_def_cfa_expression: CFA = *(base register + UC_SP) */
#define CFA(breg) \
	.cfi_escape 0x0f, 4, breg, (UC_SP & 0x7f) | 0x80, UC_SP >> 7, 0x06

#define FRAME(breg)                       \
	CFA(breg);                        \
	SAVED(8, breg, UC_R8);            \
	SAVED(9, breg, UC_R9);            \
	SAVED(10, breg, UC_R10);          \
	SAVED(11, breg, UC_R11);          \
	SAVED(12, breg, UC_R12);          \
	SAVED(13, breg, UC_R13);          \
	SAVED(14, breg, UC_R14);          \
	SAVED(15, breg, UC_R15);          \
	SAVED(5, breg, UC_DI);            \
	SAVED(4, breg, UC_SI);            \
	SAVED(6, breg, UC_BP);            \
	SAVED(3, breg, UC_BX);            \
	SAVED(1, breg, UC_DX);            \
	SAVED(0, breg, UC_AX);            \
	SAVED(2, breg, UC_CX);            \
	SAVED(7, breg, UC_SP);            \
	SAVED(16, breg, UC_IP)

#define BREG_RSP 0x77
#define BREG_RBX 0x73

	.text
	/* So that what unwinders look up has a name. */
	.type preloom_signal_frame, @function
	.globl preloom_sigreturn
	.hidden preloom_sigreturn
	.type preloom_sigreturn, @function
	.p2align 4
	.cfi_startproc simple
	.cfi_signal_frame
	FRAME(BREG_RSP)
preloom_signal_frame:
	nop /* an unwinder looks up the return address minus one */
	.size preloom_signal_frame, .-preloom_signal_frame
preloom_sigreturn:
	mov	%rsp, %rbx
	FRAME(BREG_RBX)
	mov	%rsp, %rdi
	sub	$64, %rsp
	and	$-16, %rsp
	call	sig_return
	ud2
	.cfi_endproc
	.size preloom_sigreturn, .-preloom_sigreturn

	.globl arch_restorer
	.hidden arch_restorer
	.type arch_restorer, @function
	.p2align 4
	.cfi_startproc simple
	.cfi_signal_frame
	FRAME(BREG_RSP)
	nop
arch_restorer:
	mov	$15, %rax
	syscall
	.cfi_endproc
	.size arch_restorer, .-arch_restorer

	.globl arch_sig_commit, arch_commit_begin, arch_commit_end
	.hidden arch_sig_commit, arch_commit_begin, arch_commit_end
	.type arch_sig_commit, @function
	.p2align 4
	.cfi_startproc
arch_sig_commit:
arch_commit_begin:
	cmpl	$0, 8(%rsi)
	jne	1f
	movl	$0, (%rsi)
	cmpb	$0, arch_gs_shared(%rip)
	je	2f
	mov	OFF_G_GS-OFF_G_INSHIM(%rsi), %rax
	wrgsbase %rax
2:	mov	%rdi, %rsp
	mov	$15, %eax
	syscall
arch_commit_end:
	ud2
1:	ret
	.cfi_endproc
	.size arch_sig_commit, .-arch_sig_commit

	.globl arch_on_sigstack
	.hidden arch_on_sigstack
	.type arch_on_sigstack, @function
	.p2align 4
	.cfi_startproc
arch_on_sigstack:
	push	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	mov	%rdx, %rsp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	mov	%rbp, %rsp
	pop	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size arch_on_sigstack, .-arch_on_sigstack

	.section .note.GNU-stack,"",@progbits
