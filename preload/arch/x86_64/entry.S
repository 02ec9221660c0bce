/* entry.S - where every rewritten site arrives, by a call from its trampoline.
 *
 * The trampoline has moved rsp past the site's red zone. All registers but rax, rcx and r11 must come back as they
 * were. The stub lays a struct regs on the G's stack (arch.h), aligns it and calls shim_dispatch. Numbers that are not
 * served (a site whose number is not constant) go straight to the kernel.
 *
 * entry_baseline: the site is in libc or ld.so, where nothing beyond XMM registers can be live; those are saved only
 * if the G parks (arch_mcall). entry_extended: the site is in other code: x87, AVX and AVX-512 state is saved too.
 */
#include "arch.h"

#define NSYSCALLS 512
#define XSAVE_MASK 0xe7		/* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM; not PKRU */

	.text

	/* Each step has its unwind information: profilers interrupt between any two instructions. */
	.macro KEEP reg
	push	\reg
	.cfi_adjust_cfa_offset 8
	.endm

	.macro KEEP_SAVED reg
	KEEP	\reg
	.cfi_rel_offset \reg, 0
	.endm

	.macro BACK reg
	pop	\reg
	.cfi_adjust_cfa_offset -8
	.endm

	.macro BACK_SAVED reg
	BACK	\reg
	.cfi_restore \reg
	.endm

	.macro ENTER
	lea	shim_served(%rip), %rcx
	mov	%eax, %r11d
	cmp	$NSYSCALLS, %r11d
	jae	.Lraw
	cmpb	$0, (%rcx,%r11)
	je	.Lraw
	KEEP	%r11
	KEEP	%rdi
	KEEP	%rsi
	KEEP	%rdx
	KEEP	%r10
	KEEP	%r8
	KEEP	%r9
	KEEP_SAVED	%rbx
	KEEP_SAVED	%rbp
	KEEP_SAVED	%r12
	KEEP_SAVED	%r13
	KEEP_SAVED	%r14
	KEEP_SAVED	%r15
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	.endm

	.macro LEAVE
	mov	%rbp, %rsp
	.cfi_def_cfa_register %rsp
	BACK_SAVED	%r15
	BACK_SAVED	%r14
	BACK_SAVED	%r13
	BACK_SAVED	%r12
	BACK_SAVED	%rbp
	BACK_SAVED	%rbx
	BACK	%r9
	BACK	%r8
	BACK	%r10
	BACK	%rdx
	BACK	%rsi
	BACK	%rdi
	lea	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	ret
	.endm

	.globl entry_baseline
	.hidden entry_baseline
	.type entry_baseline, @function
	.p2align 4
entry_baseline:
	.cfi_startproc
	ENTER
	and	$-16, %rsp
	xor	%esi, %esi
	call	shim_dispatch
	LEAVE
	.cfi_endproc
	.size entry_baseline, .-entry_baseline

	.globl entry_extended
	.hidden entry_extended
	.type entry_extended, @function
	.p2align 4
entry_extended:
	.cfi_startproc
	ENTER
	mov	entry_xsave_size(%rip), %eax
	sub	%rax, %rsp
	and	$-64, %rsp
	mov	%rsp, %rbx
	/* xrstor wants the header beyond the two words that xsavec writes to be zero */
	xor	%eax, %eax
	mov	%rax, 512(%rsp)
	mov	%rax, 520(%rsp)
	mov	%rax, 528(%rsp)
	mov	%rax, 536(%rsp)
	mov	%rax, 544(%rsp)
	mov	%rax, 552(%rsp)
	mov	%rax, 560(%rsp)
	mov	%rax, 568(%rsp)
	mov	$XSAVE_MASK, %eax
	xor	%edx, %edx
	xsavec	(%rsp)
	mov	%rsp, %rsi
	call	shim_dispatch
	mov	%rax, %r12
	mov	$XSAVE_MASK, %eax
	xor	%edx, %edx
	xrstor	(%rbx)
	mov	%r12, %rax
	LEAVE
	.cfi_endproc
	.size entry_extended, .-entry_extended

	.p2align 4
	.cfi_startproc
.Lraw:
	syscall
	ret
	.cfi_endproc

	.data
	.globl entry_xsave_size
	.hidden entry_xsave_size
	.p2align 2
entry_xsave_size:
	.long 2816

	.section .note.GNU-stack,"",@progbits
