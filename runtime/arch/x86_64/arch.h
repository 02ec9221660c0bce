/* arch.h - what the runtime needs of x86-64: the M pointer in GS, system calls, switching, clobber-free fences.
 *
 * The constants with OFF_ in their names are used by the assembly; runtime.c asserts that they equal the offsets
 * of the C structures.
 */
#ifndef PRELOOM_ARCH_H
#define PRELOOM_ARCH_H

#define OFF_M_SELF 0
#define OFF_M_CURG 8
#define OFF_M_G0SP 16
#define OFF_M_FS 24
#define OFF_M_FPCTL 32
#define OFF_G_SP 0
#define OFF_G_FS 8
#define OFF_G_INSHIM 80 /* preempt and interrupt follow */
#define OFF_G_XSTATE 104
#define OFF_G_GS 112

/* Layout of struct regs, as the entry stub pushes it (lowest address first). */
#define REGS_RAX 96
#define REGS_RET 104
#define REGS_SIZE 112
#define RED_ZONE 128
#define XSAVE_ENTRY 0xe7 /* what the entry stub saves: x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM; not PKRU */

/* What arch_mcall leaves on the stack of a G that is switched out, lowest address first:
 * 16 XMM registers, MXCSR and x87 control word (8 bytes), padding (8), r15 r14 r13 r12 rbx rbp, return address. */
#define SWITCH_FPCTL 256
#define SWITCH_GPR 272
#define SWITCH_RET 320
#define SWITCH_SIZE 328

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct m;
struct g;

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r9, r8, r10, rdx, rsi, rdi;
	uint64_t rax; /* the number of the system call; the result is returned, not stored here */
	uint64_t ret; /* return address in the site's trampoline: says which site this is */
};
_Static_assert(sizeof(struct regs) == REGS_SIZE, "REGS_SIZE");

/* The site's own stack pointer. */
static inline uintptr_t regs_sp(const struct regs *r)
{
	return (uintptr_t)r + REGS_SIZE + RED_ZONE;
}

/* The M of this kernel thread. Volatile: a G may go on with another M after it parked, so never keep the result
 * across a park. NULL in a kernel thread that came into being before activation. */
static inline struct m *getm(void)
{
	struct m *m;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(m));
	return m;
}

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#define sys5(nr, a, b, c, d, e) sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define sys4(nr, a, b, c, d) sys5(nr, a, b, c, d, 0)
#define sys3(nr, a, b, c) sys4(nr, a, b, c, 0)
#define sys2(nr, a, b) sys3(nr, a, b, 0)
#define sys1(nr, a) sys2(nr, a, 0)
#define sys0(nr) sys1(nr, 0)

#ifndef arch_cputicks /* the unit tests have a clock of their own */
static inline uint64_t arch_cputicks(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
#endif

/* Adds and returns what was there, in one step for the signal handlers of this kernel thread; not for other threads. */
static inline uint32_t arch_local_add(_Atomic uint32_t *p, uint32_t n)
{
	__asm__ volatile("xaddl %0, %1" : "+r"(n), "+m"(*p)::"memory");
	return n;
}

/* MXCSR and, in the upper half, the x87 control word. */
static inline uint64_t arch_fpctl(void)
{
	uint32_t mxcsr;
	uint16_t cw;
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(cw));
	return (uint64_t)cw << 32 | mxcsr;
}

static inline void arch_pause(void)
{
	__asm__ volatile("pause");
}

/* Saves the current G, switches to g0's stack and calls fn(g) there; fn must not return.
 * Comes back when somebody runs arch_gogo(g). */
void arch_mcall(void (*fn)(struct g *));
/* Runs g from where it left off, on this M; abandons the current stack. */
void arch_gogo(struct g *g);
/* Where a G made by clone begins: its stack pointer at a struct regs, result 0. */
extern const char arch_thread_entry[];

/* First instruction on a new kernel thread's own stack, after clone. */
long arch_clone_m(unsigned long flags, void *stack_top, int *parent_tid, int *child_tid, struct m *m, uintptr_t fs);
_Noreturn void arch_munmap_exit(void *stack, size_t size);

/* A raw system call that a signal handler can keep from starting and from waiting on. If the flag at *stop is non-zero before
 * it is made, or becomes so and the handler finds the thread from begin to before end, the handler sends it to not_made, result
 * -ERESTARTNOINTR; or, where it is at again, as the kernel would restart a call that waited, to ended, result -EINTR. */
long arch_blocking_syscall(long nr, const long args[6], const _Atomic uint32_t *stop);
extern const char arch_blocking_begin[], arch_blocking_again[], arch_blocking_end[];
extern const char arch_blocking_not_made[], arch_blocking_ended[];

/* Accesses to the program's memory that return -EFAULT instead of faulting. */
int arch_user_load32(const void *p, uint32_t *v);
int64_t arch_user_read32(const void *p); /* the word; negative: -EFAULT */
int arch_user_load64(const void *p, uint64_t *v);
int arch_user_store32(void *p, uint32_t v);
int arch_user_cmpxchg32(void *p, uint32_t *expected, uint32_t desired); /* 1 exchanged, 0 not (expected updated) */
int arch_user_copy(void *dst, const void *src, size_t n);
extern const char arch_user_begin[], arch_user_end[], arch_user_fault[];

/* clone that makes a process (or a kernel thread of the program's own) whose first instruction is the one after the
 * site: in the child rsp is a struct childframe, see switch.S. */
long arch_clone_child(long nr, long a1, long a2, long a3, long a4, long a5);
/* Finishes a system call as the entry stub does, result 0, from a struct regs on the stack to go on with. */
_Noreturn void arch_resume_regs(const struct regs *r);
/* The way back to the program, by a jump: rsp at the G's struct regs, rax the result. If there are notes for the G it calls
 * arch_leave_slow first. A handler that interrupts it between the labels takes it as done: the program's registers
 * are in g->regs. */
extern const char arch_leave[], arch_leave_begin[], arch_leave_end[];
extern long (*arch_leave_slow)(struct regs *r, long ret);

/* Is the context at, or some instructions from, a `pause`? */
struct kuc;
bool arch_at_pause(const struct kuc *c);

extern uint8_t arch_has_fsgsbase;
extern uint8_t arch_gs_shared; /* GS is the program's while its code runs, see gs.c; never becomes 0 again */
uint64_t arch_get_fs(void);
void arch_set_fs(uint64_t base);
void arch_set_gs(void *m);
uintptr_t arch_get_gs(void);
#endif
#endif
