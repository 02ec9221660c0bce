/* entry.S - where every rewritten site arrives, by a call from its trampoline. The way back is arch_leave.
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

	/* A handler that interrupts before the first push, or at entry_raw, takes the call as not yet made: program_ip. */
	.macro ENTER begun
	lea	shim_served(%rip), %rcx
	mov	%eax, %r11d
	cmp	$NSYSCALLS, %r11d
	jae	entry_raw
	cmpb	$0, (%rcx,%r11)
	je	entry_raw
\begun:
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
	jmp	arch_leave
	.endm

	.globl entry_baseline, entry_baseline_begun
	.hidden entry_baseline, entry_baseline_begun
	.type entry_baseline, @function
	.p2align 4
entry_baseline:
	.cfi_startproc
	ENTER entry_baseline_begun
	and	$-16, %rsp
	xor	%esi, %esi
	call	shim_dispatch
	LEAVE
	.cfi_endproc
	.size entry_baseline, .-entry_baseline

	.globl entry_extended, entry_extended_begun
	.hidden entry_extended, entry_extended_begun
	.type entry_extended, @function
	.p2align 4
entry_extended:
	.cfi_startproc
	ENTER entry_extended_begun
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
	mov	$XSAVE_ENTRY, %eax
	xor	%edx, %edx
	xsavec	(%rsp)
	mov	%rsp, %rsi
	call	shim_dispatch
	mov	%rax, %r12
	mov	$XSAVE_ENTRY, %eax
	xor	%edx, %edx
	xrstor	(%rbx)
	mov	%r12, %rax
	LEAVE
	.cfi_endproc
	.size entry_extended, .-entry_extended

	.globl entry_raw, entry_raw_end
	.hidden entry_raw, entry_raw_end
	.type entry_raw, @function
	.p2align 4
entry_raw:
	.cfi_startproc
	syscall
entry_raw_end:
	ret
	.cfi_endproc
	.size entry_raw, .-entry_raw

	.data
	.globl entry_xsave_size
	.hidden entry_xsave_size
	.p2align 2
entry_xsave_size:
	.long 2816

	.section .note.GNU-stack,"",@progbits
