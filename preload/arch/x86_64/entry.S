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

	.macro ENTER
	lea	shim_served(%rip), %rcx
	mov	%eax, %r11d
	cmp	$NSYSCALLS, %r11d
	jae	.Lraw
	cmpb	$0, (%rcx,%r11)
	je	.Lraw
	push	%r11
	push	%rdi
	push	%rsi
	push	%rdx
	push	%r10
	push	%r8
	push	%r9
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.cfi_adjust_cfa_offset 104
	.cfi_rel_offset %rbx, 40
	.cfi_rel_offset %rbp, 32
	.cfi_rel_offset %r12, 24
	.cfi_rel_offset %r13, 16
	.cfi_rel_offset %r14, 8
	.cfi_rel_offset %r15, 0
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	.endm

	.macro LEAVE
	mov	%rbp, %rsp
	.cfi_def_cfa_register %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r9
	pop	%r8
	pop	%r10
	pop	%rdx
	pop	%rsi
	pop	%rdi
	lea	8(%rsp), %rsp
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
.Lraw:
	syscall
	ret

	.data
	.globl entry_xsave_size
	.hidden entry_xsave_size
	.p2align 2
entry_xsave_size:
	.long 2816

	.section .note.GNU-stack,"",@progbits
