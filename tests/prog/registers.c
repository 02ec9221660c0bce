/*
 * registers.c: what a thread has in its registers is there after it was switched away from, at a call or in a pure loop.
 *
 * At a system call all but RAX, RCX and R11 must survive, with the vector registers, the x87 stack and the red zone. In a
 * loop without any call a thread can be stopped at any instruction, and then the upper halves of AVX and the carry flag
 * must survive as well.
 */
#include "check.h"
#include <sys/syscall.h>

#define N 6
#define XMM_BYTES 256
#define YMM_BYTES 512

/* in, out: 16 XMM registers, then rbx rbp r12 r13 r14 r15 r8 r9 r10 rdx, x87 (16 bytes), 128 bytes of red zone. */
long across_syscall(const void *in, void *out, long number, const void *arg);
/* in, out: 16 YMM registers, then the same integers; returns the carry flag, which was set before the loop. */
long across_loop_avx(const void *in, void *out, long count);
long across_loop_sse(const void *in, void *out, long count);

/* clang-format off */
#define ALL(op) \
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t" op "\n\t.endr\n\t"
#define SAVE \
    ".cfi_startproc\n\tpush %rbx\n\t.cfi_adjust_cfa_offset 8\n\tpush %rbp\n\t.cfi_adjust_cfa_offset 8\n\t" \
    "push %r12\n\t.cfi_adjust_cfa_offset 8\n\tpush %r13\n\t.cfi_adjust_cfa_offset 8\n\t" \
    "push %r14\n\t.cfi_adjust_cfa_offset 8\n\tpush %r15\n\t.cfi_adjust_cfa_offset 8\n\t" \
    "push %rsi\n\t.cfi_adjust_cfa_offset 8\n\t"
#define RESTORE \
    "pop %rcx\n\t.cfi_adjust_cfa_offset -8\n\tpop %r15\n\t.cfi_adjust_cfa_offset -8\n\t" \
    "pop %r14\n\t.cfi_adjust_cfa_offset -8\n\tpop %r13\n\t.cfi_adjust_cfa_offset -8\n\t" \
    "pop %r12\n\t.cfi_adjust_cfa_offset -8\n\tpop %rbp\n\t.cfi_adjust_cfa_offset -8\n\t" \
    "pop %rbx\n\t.cfi_adjust_cfa_offset -8\n\tret\n\t.cfi_endproc\n\t"
#define LOAD_INTEGERS(base) \
    "mov " base "+0(%rdi), %rbx\n\tmov " base "+8(%rdi), %rbp\n\tmov " base "+16(%rdi), %r12\n\t" \
    "mov " base "+24(%rdi), %r13\n\tmov " base "+32(%rdi), %r14\n\tmov " base "+40(%rdi), %r15\n\t" \
    "mov " base "+48(%rdi), %r8\n\tmov " base "+56(%rdi), %r9\n\tmov " base "+64(%rdi), %r10\n\t" \
    "fldt " base "+80(%rdi)\n\t" \
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t" \
    "mov " base "+96+\\n*8(%rdi), %rdx\n\tmov %rdx, -128+\\n*8(%rsp)\n\t.endr\n\t" \
    "mov " base "+72(%rdi), %rdx\n\t"
#define STORE_INTEGERS(base) \
    "mov (%rsp), %rsi\n\t" \
    "mov %rbx, " base "+0(%rsi)\n\tmov %rbp, " base "+8(%rsi)\n\tmov %r12, " base "+16(%rsi)\n\t" \
    "mov %r13, " base "+24(%rsi)\n\tmov %r14, " base "+32(%rsi)\n\tmov %r15, " base "+40(%rsi)\n\t" \
    "mov %r8, " base "+48(%rsi)\n\tmov %r9, " base "+56(%rsi)\n\tmov %r10, " base "+64(%rsi)\n\t" \
    "mov %rdx, " base "+72(%rsi)\n\tfstpt " base "+80(%rsi)\n\t" \
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t" \
    "mov -128+\\n*8(%rsp), %rdx\n\tmov %rdx, " base "+96+\\n*8(%rsi)\n\t.endr\n\t"
#define LOOP "mov %rdx, %rcx\n\tstc\n1:\tdec %rcx\n\tjnz 1b\n\tsetc %al\n\tmovzx %al, %eax\n\t"

__asm__(
    ".text\n"
    "across_syscall:\n\t" SAVE
    "mov %rdx, %rax\n\tmov %rcx, %r11\n\t"
    ALL("movdqu \\n*16(%rdi), %xmm\\n") LOAD_INTEGERS("256")
    "mov %r11, %rdi\n\txor %esi, %esi\n\tsyscall\n\t"
    "mov (%rsp), %rsi\n\t" ALL("movdqu %xmm\\n, \\n*16(%rsi)") STORE_INTEGERS("256") RESTORE
    "across_loop_sse:\n\t" SAVE
    "mov %rdx, %rax\n\t" ALL("movdqu \\n*16(%rdi), %xmm\\n") LOAD_INTEGERS("512")
    "mov %rdx, %r11\n\tmov %rax, %rdx\n\t" LOOP "mov %r11, %rdx\n\t"
    "mov (%rsp), %rsi\n\t" ALL("movdqu %xmm\\n, \\n*16(%rsi)") STORE_INTEGERS("512") RESTORE
    "across_loop_avx:\n\t" SAVE
    "mov %rdx, %rax\n\t" ALL("vmovdqu \\n*32(%rdi), %ymm\\n") LOAD_INTEGERS("512")
    "mov %rdx, %r11\n\tmov %rax, %rdx\n\t" LOOP "mov %r11, %rdx\n\t"
    "mov (%rsp), %rsi\n\t" ALL("vmovdqu %ymm\\n, \\n*32(%rsi)") STORE_INTEGERS("512") "vzeroupper\n\t" RESTORE);
/* clang-format on */

struct state {
    _Alignas(64) uint64_t words[(YMM_BYTES + 96 + 128) / 8];
};

static void fill(struct state *s, size_t vector_bytes, uint64_t seed)
{
    long double x87 = (long double)seed + 0.1L;
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < (vector_bytes + 96 + 128) / 8; i++)
        s->words[i] = (seed + 1) * 0x9e3779b97f4a7c15u + i;
    s->words[vector_bytes / 8 + 11] = 0; /* of an x87 register only ten bytes count */
    memcpy(&s->words[vector_bytes / 8 + 10], &x87, 10);
}

static void *worker(void *arg)
{
    struct state in, out;
    uint64_t seed = (uint64_t)(uintptr_t)arg * 1000;
    struct timespec nap = {0, 1000};
    for (uint64_t i = 0; i < 300; i++) {
        fill(&in, XMM_BYTES, seed + i);
        memset(&out, 0, sizeof out);
        int naps = i % 10 == 0;
        CHECK(across_syscall(&in, &out, naps ? SYS_nanosleep : SYS_sched_yield, &nap) == 0);
        CHECK(memcmp(&in, &out, sizeof in) == 0);
    }
    int avx = __builtin_cpu_supports("avx");
    for (uint64_t i = 0; i < 20; i++) {
        fill(&in, YMM_BYTES, seed + i);
        out = in;
        memset(&out, 0, avx ? YMM_BYTES : XMM_BYTES);
        memset((char *)&out + YMM_BYTES, 0, sizeof out - YMM_BYTES);
        CHECK((avx ? across_loop_avx : across_loop_sse)(&in, &out, 3000000) == 1);
        CHECK(memcmp(&in, &out, sizeof in) == 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[N];
    for (intptr_t i = 0; i < N; i++)
        threads[i] = start(worker, (void *)i);
    for (int i = 0; i < N; i++)
        join(threads[i]);
    puts("registers kept");
    return 0;
}
