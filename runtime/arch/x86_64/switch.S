/* switch.S - switching between a G's stack and g0, the first instructions of new G's and M's.
 *
 * A G that parks has entered through a system-call site. There the caller of libc's function keeps nothing in vector
 * registers, but libc itself may, and it is compiled for baseline x86-64: so 16 XMM registers, MXCSR and the x87
 * control word are saved beside the callee-saved integer registers. Sites of other objects saved the rest of the
 * extended state at their entry. A G that was preempted has everything in its signal frame.
 *
 * %gs:0 is the M. Layout of the frame: SWITCH_* in arch.h.
 */
#include "arch.h"

	.text

/* void arch_mcall(void (*fn)(struct g *))	rdi = fn */
	.globl arch_mcall
	.hidden arch_mcall
	.type arch_mcall, @function
	.p2align 4
arch_mcall:
	.cfi_startproc
	mov	%gs:OFF_M_SELF, %rax
	mov	OFF_M_CURG(%rax), %rsi
	push	%rbp
	.cfi_adjust_cfa_offset 8
	push	%rbx
	.cfi_adjust_cfa_offset 8
	push	%r12
	.cfi_adjust_cfa_offset 8
	push	%r13
	.cfi_adjust_cfa_offset 8
	push	%r14
	.cfi_adjust_cfa_offset 8
	push	%r15
	.cfi_adjust_cfa_offset 8
	sub	$SWITCH_GPR, %rsp
	.cfi_adjust_cfa_offset SWITCH_GPR
	movups	%xmm0, 0(%rsp)
	movups	%xmm1, 16(%rsp)
	movups	%xmm2, 32(%rsp)
	movups	%xmm3, 48(%rsp)
	movups	%xmm4, 64(%rsp)
	movups	%xmm5, 80(%rsp)
	movups	%xmm6, 96(%rsp)
	movups	%xmm7, 112(%rsp)
	movups	%xmm8, 128(%rsp)
	movups	%xmm9, 144(%rsp)
	movups	%xmm10, 160(%rsp)
	movups	%xmm11, 176(%rsp)
	movups	%xmm12, 192(%rsp)
	movups	%xmm13, 208(%rsp)
	movups	%xmm14, 224(%rsp)
	movups	%xmm15, 240(%rsp)
	movl	$0, SWITCH_FPCTL+4(%rsp)
	stmxcsr	SWITCH_FPCTL(%rsp)
	fnstcw	SWITCH_FPCTL+4(%rsp)
	/* A narrow store followed by a wide load would stall: copy the halves. */
	mov	SWITCH_FPCTL(%rsp), %ecx
	mov	%ecx, OFF_M_FPCTL(%rax)
	movzwl	SWITCH_FPCTL+4(%rsp), %ecx
	mov	%ecx, OFF_M_FPCTL+4(%rax)
	mov	%rsp, OFF_G_SP(%rsi)
	mov	OFF_M_G0SP(%rax), %rsp
	xor	%ebp, %ebp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	push	$0			/* as if called: aligned, and a return would fault */
	jmp	*%rax			/* no call: the next return is arch_gogo's, see runtime.h */
	.cfi_endproc
	.size arch_mcall, .-arch_mcall

/* void arch_gogo(struct g *)	rdi = g */
	.globl arch_gogo
	.hidden arch_gogo
	.type arch_gogo, @function
	.p2align 4
arch_gogo:
	.cfi_startproc
	mov	%gs:OFF_M_SELF, %rax
	mov	OFF_G_FS(%rdi), %rsi
	cmpb	$0, arch_has_fsgsbase(%rip)
	je	1f
2:	mov	OFF_G_SP(%rdi), %rsp
	.cfi_def_cfa_offset SWITCH_SIZE
	.cfi_rel_offset %r15, SWITCH_GPR
	.cfi_rel_offset %r14, SWITCH_GPR+8
	.cfi_rel_offset %r13, SWITCH_GPR+16
	.cfi_rel_offset %r12, SWITCH_GPR+24
	.cfi_rel_offset %rbx, SWITCH_GPR+32
	.cfi_rel_offset %rbp, SWITCH_GPR+40
	mov	SWITCH_FPCTL(%rsp), %ecx
	cmp	%ecx, OFF_M_FPCTL(%rax)
	je	3f
	ldmxcsr	SWITCH_FPCTL(%rsp)
	mov	%ecx, OFF_M_FPCTL(%rax)
3:	movzwl	SWITCH_FPCTL+4(%rsp), %ecx
	cmp	%ecx, OFF_M_FPCTL+4(%rax)
	je	4f
	fldcw	SWITCH_FPCTL+4(%rsp)
	mov	%ecx, OFF_M_FPCTL+4(%rax)
4:	movups	0(%rsp), %xmm0
	movups	16(%rsp), %xmm1
	movups	32(%rsp), %xmm2
	movups	48(%rsp), %xmm3
	movups	64(%rsp), %xmm4
	movups	80(%rsp), %xmm5
	movups	96(%rsp), %xmm6
	movups	112(%rsp), %xmm7
	movups	128(%rsp), %xmm8
	movups	144(%rsp), %xmm9
	movups	160(%rsp), %xmm10
	movups	176(%rsp), %xmm11
	movups	192(%rsp), %xmm12
	movups	208(%rsp), %xmm13
	movups	224(%rsp), %xmm14
	movups	240(%rsp), %xmm15
	add	$SWITCH_GPR, %rsp
	.cfi_adjust_cfa_offset -SWITCH_GPR
	pop	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	pop	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	pop	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	pop	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	/* As late as can be: nothing behind it begins before all that is ahead of it is done. */
	cmp	%rsi, OFF_M_FS(%rax)
	je	5f
	mov	%rsi, OFF_M_FS(%rax)
	wrfsbase %rsi
5:	ret

1:	cmp	%rsi, OFF_M_FS(%rax)
	je	2b
	mov	%rsi, OFF_M_FS(%rax)
	push	%rdi
	.cfi_adjust_cfa_offset 8
	push	%rax
	.cfi_adjust_cfa_offset 8
	push	%rsi
	.cfi_adjust_cfa_offset 8
	mov	$0x1002, %edi		/* ARCH_SET_FS */
	mov	$158, %eax		/* arch_prctl */
	syscall
	pop	%rsi
	.cfi_adjust_cfa_offset -8
	pop	%rax
	.cfi_adjust_cfa_offset -8
	pop	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	2b
	.cfi_endproc
	.size arch_gogo, .-arch_gogo

/* A new G starts here with rsp at a struct regs: finish as the entry stub does, with result 0. */
	.globl arch_thread_entry
	.hidden arch_thread_entry
	.type arch_thread_entry, @function
	.p2align 4
	.cfi_startproc
	.cfi_def_cfa_offset REGS_SIZE
	.cfi_rel_offset %r15, 0
	.cfi_rel_offset %r14, 8
	.cfi_rel_offset %r13, 16
	.cfi_rel_offset %r12, 24
	.cfi_rel_offset %rbp, 32
	.cfi_rel_offset %rbx, 40
	nop				/* the first switch "returns" here: unwinders look up the place before */
arch_thread_entry:
	xor	%eax, %eax
	jmp	arch_leave
	.cfi_endproc
	.size arch_thread_entry, .-arch_thread_entry

	.macro UNPUSH reg
	pop	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore %\reg
	.endm

	.macro POP_REGS
	UNPUSH	r15
	UNPUSH	r14
	UNPUSH	r13
	UNPUSH	r12
	UNPUSH	rbp
	UNPUSH	rbx
	UNPUSH	r9
	UNPUSH	r8
	UNPUSH	r10
	UNPUSH	rdx
	UNPUSH	rsi
	UNPUSH	rdi
	lea	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	ret
	.endm

	/* At a struct regs. */
	.macro CFI_REGS
	.cfi_def_cfa %rsp, REGS_SIZE
	.cfi_offset %rbx, -72
	.cfi_offset %rbp, -80
	.cfi_offset %r12, -88
	.cfi_offset %r13, -96
	.cfi_offset %r14, -104
	.cfi_offset %r15, -112
	.endm

/* The last look at the notes and what follows it must be one to a signal handler: a note that came in between would be seen
 * by nobody until the next system call. So a handler that interrupts between the labels goes on as if it had
 * interrupted the program, which g->regs describes. Nothing but rax is needed of the registers. */
	.globl arch_leave, arch_leave_begin, arch_leave_end
	.hidden arch_leave, arch_leave_begin, arch_leave_end
	.type arch_leave, @function
	.p2align 4
arch_leave:
	.cfi_startproc
	CFI_REGS
	mov	%gs:OFF_M_SELF, %rcx
	mov	OFF_M_CURG(%rcx), %rcx
	test	%rcx, %rcx		/* a kernel thread that is not ours */
	jz	2f
arch_leave_begin:
	mov	OFF_G_INSHIM+4(%rcx), %r11d
	or	OFF_G_INSHIM+8(%rcx), %r11d
	jne	1f
	movl	$0, OFF_G_INSHIM(%rcx)
	cmpb	$0, arch_gs_shared(%rip)
	jne	3f
	.cfi_remember_state
	POP_REGS
	.cfi_restore_state
3:	mov	OFF_G_GS(%rcx), %r11
	wrgsbase %r11
	.cfi_remember_state
	POP_REGS
arch_leave_end:
	.cfi_restore_state
1:	mov	%rsp, %rbx
	.cfi_def_cfa_register %rbx
	mov	%rsp, %rdi
	mov	%rax, %rsi
	and	$-16, %rsp
	call	*arch_leave_slow(%rip)
	mov	%rbx, %rsp
	.cfi_def_cfa_register %rsp
	mov	%gs:OFF_M_SELF, %rcx
	mov	OFF_M_CURG(%rcx), %rcx
	mov	OFF_G_XSTATE(%rcx), %rcx
	test	%rcx, %rcx
	jz	arch_leave
	mov	%rax, %r12
	mov	$XSAVE_ENTRY, %eax
	xor	%edx, %edx
	xrstor	(%rcx)
	mov	%r12, %rax
	jmp	arch_leave
2:	POP_REGS
	.cfi_endproc
	.size arch_leave, .-arch_leave

/* long arch_clone_m(flags, stack_top, parent_tid, child_tid, m, fs)
 * The child calls m_start(m) on its own stack; GS is inherited and set anew by m_start. */
	.globl arch_clone_m
	.hidden arch_clone_m
	.type arch_clone_m, @function
arch_clone_m:
	.cfi_startproc
	mov	%rcx, %r10
	xchg	%r8, %r9
	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	xor	%ebp, %ebp
	mov	%r9, %rdi
	call	m_start
	ud2
	.cfi_endproc
	.size arch_clone_m, .-arch_clone_m

	.globl arch_resume_regs
	.hidden arch_resume_regs
	.type arch_resume_regs, @function
arch_resume_regs:
	.cfi_startproc
	mov	%rdi, %rsp
	.cfi_def_cfa_offset REGS_SIZE
	.cfi_rel_offset %r15, 0
	.cfi_rel_offset %r14, 8
	.cfi_rel_offset %r13, 16
	.cfi_rel_offset %r12, 24
	.cfi_rel_offset %rbp, 32
	.cfi_rel_offset %rbx, 40
	xor	%eax, %eax
	jmp	arch_leave
	.cfi_endproc
	.size arch_resume_regs, .-arch_resume_regs

/* long arch_clone_child(nr, a1..a5): the child's stack, given to the kernel by the arguments, begins with
 * 8 bytes signal mask, 8 bytes M for GS, then the struct regs that it is to continue with (struct childframe). */
	.globl arch_clone_child
	.hidden arch_clone_child
	.type arch_clone_child, @function
arch_clone_child:
	.cfi_startproc
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	mov	8(%rsp), %rdi
	call	arch_set_gs
	mov	$2, %edi		/* SIG_SETMASK */
	mov	%rsp, %rsi
	xor	%edx, %edx
	mov	$8, %r10d
	mov	$14, %eax		/* rt_sigprocmask */
	syscall
	add	$16, %rsp
	xor	%eax, %eax
	jmp	arch_leave
	.cfi_endproc
	.size arch_clone_child, .-arch_clone_child

/* void arch_munmap_exit(stack, size): gives back the stack that it runs on. */
	.globl arch_munmap_exit
	.hidden arch_munmap_exit
	.type arch_munmap_exit, @function
arch_munmap_exit:
	.cfi_startproc
	mov	$11, %eax
	syscall
	xor	%edi, %edi
	mov	$60, %eax
	syscall
	ud2
	.cfi_endproc
	.size arch_munmap_exit, .-arch_munmap_exit

/* long arch_blocking_syscall(nr, args, stop)
 * A signal handler that set *stop moves a thread that it finds between the labels to one of the two ends below. The kernel puts
 * a call that it wants restarted two bytes back, at the plain `syscall`: coming from above one is at its prefix (which means
 * nothing there). So the handler tells a call that waited from one that has not been made. */
	.globl arch_blocking_syscall
	.hidden arch_blocking_syscall
	.type arch_blocking_syscall, @function
	.globl arch_blocking_begin, arch_blocking_again, arch_blocking_end, arch_blocking_not_made, arch_blocking_ended
	.hidden arch_blocking_begin, arch_blocking_again, arch_blocking_end, arch_blocking_not_made, arch_blocking_ended
	.p2align 4
arch_blocking_syscall:
	.cfi_startproc
	mov	%rdi, %rax
	mov	%rsi, %r11
	mov	%rdx, %rcx
	mov	0(%r11), %rdi
	mov	8(%r11), %rsi
	mov	16(%r11), %rdx
	mov	24(%r11), %r10
	mov	32(%r11), %r8
	mov	40(%r11), %r9
arch_blocking_begin:
	cmpl	$0, (%rcx)
	jne	arch_blocking_not_made
	.byte	0x48			/* REX.W */
arch_blocking_again:
	syscall
arch_blocking_end:
	ret
arch_blocking_not_made:
	mov	$-513, %rax		/* -ERESTARTNOINTR */
	ret
arch_blocking_ended:
	mov	$-4, %rax		/* -EINTR */
	ret
	.cfi_endproc
	.size arch_blocking_syscall, .-arch_blocking_syscall

/* Accesses to the program's memory. A fault between the labels continues at arch_user_fault. No pushes here. */
	.globl arch_user_begin, arch_user_end, arch_user_fault
	.hidden arch_user_begin, arch_user_end, arch_user_fault
	.globl arch_user_read32, arch_user_load32, arch_user_load64, arch_user_store32, arch_user_cmpxchg32, arch_user_copy
	.hidden arch_user_read32, arch_user_load32, arch_user_load64, arch_user_store32, arch_user_cmpxchg32, arch_user_copy
	.p2align 4
	.cfi_startproc
arch_user_begin:
arch_user_read32:
	mov	(%rdi), %eax
	ret
arch_user_load32:
	mov	(%rdi), %eax
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret
arch_user_load64:
	mov	(%rdi), %rax
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret
arch_user_store32:
	mov	%esi, (%rdi)
	xor	%eax, %eax
	ret
arch_user_cmpxchg32:
	mov	(%rsi), %eax
	mov	%edx, %ecx
	lock cmpxchg %ecx, (%rdi)
	mov	%eax, (%rsi)
	sete	%al
	movzbl	%al, %eax
	ret
arch_user_copy:
	mov	%rdx, %rcx
	rep movsb
	xor	%eax, %eax
	ret
arch_user_end:
arch_user_fault:
	mov	$-14, %rax
	ret
	.cfi_endproc

	.globl arch_get_fs, arch_get_gs, arch_set_fs, arch_set_gs
	.hidden arch_get_fs, arch_get_gs, arch_set_fs, arch_set_gs
/* By instruction where the kernel allows it: quicker, and a sandbox of the program's may not know arch_prctl. */
arch_get_fs:
	cmpb	$0, arch_has_fsgsbase(%rip)
	je	1f
	rdfsbase %rax
	ret
1:	sub	$8, %rsp
	mov	%rsp, %rsi
	mov	$0x1003, %edi		/* ARCH_GET_FS */
	mov	$158, %eax
	syscall
	pop	%rax
	ret
arch_get_gs:
	cmpb	$0, arch_has_fsgsbase(%rip)
	je	1f
	rdgsbase %rax
	ret
1:	sub	$8, %rsp
	mov	%rsp, %rsi
	mov	$0x1004, %edi		/* ARCH_GET_GS */
	mov	$158, %eax
	syscall
	pop	%rax
	ret
arch_set_fs:
	mov	%rdi, %rsi
	mov	$0x1002, %edi
	mov	$158, %eax
	syscall
	ret
arch_set_gs:
	cmpb	$0, arch_has_fsgsbase(%rip)
	je	1f
	wrgsbase %rdi
	ret
1:	mov	%rdi, %rsi
	mov	$0x1001, %edi		/* ARCH_SET_GS */
	mov	$158, %eax
	syscall
	ret

	.data
	.globl arch_has_fsgsbase, arch_gs_shared
	.hidden arch_has_fsgsbase, arch_gs_shared
arch_has_fsgsbase:
	.byte 0
arch_gs_shared:
	.byte 0
	.p2align 3
/* Set by the shims. */
	.globl arch_leave_slow
	.hidden arch_leave_slow
arch_leave_slow:
	.quad 0

	.section .note.GNU-stack,"",@progbits
