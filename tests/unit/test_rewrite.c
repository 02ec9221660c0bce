/* test_rewrite.c - the rewriter on hand-written code.
 *
 * Each test lays out an object in memory: one page with an .eh_frame_hdr and one FDE per function, one page of code. The
 * golden tests say which bytes are displaced, or why none are; the others run what was rewritten, with an entry stub that
 * makes the call and dirties the stack below it.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/arch/x86_64/length.h"
#include "preload/arch/x86_64/scan.h"
#include "preload/arch/x86_64/site.h"
#include "preload/decode.h"
#include "preload/object.h"
#include "preload/rewrite.h"
#include "preload/sites.h"

#define PAGE 4096
#define FN_MAX 8
#define CODE(s) (const uint8_t *)(s), sizeof(s) - 1

extern char test_entry[];
extern uint64_t test_calls, test_number, test_ret;
__asm__(".text\n"
	"test_entry:\n"
	"	mov	%rax, test_number(%rip)\n"
	"	mov	(%rsp), %rcx\n"
	"	mov	%rcx, test_ret(%rip)\n"
	"	incq	test_calls(%rip)\n"
	"	.rept	32\n"
	"	pushq	$-1\n"
	"	.endr\n"
	"	add	$256, %rsp\n"
	"	syscall\n"
	"	ret\n"
	".bss\n"
	"test_calls:	.zero	8\n"
	"test_number:	.zero	8\n"
	"test_ret:	.zero	8\n"
	".text\n");

/* Calls fn with known values in all registers but rax, rcx, r11; returns a mask of those that changed. */
uint64_t call_checked(void *fn, uint64_t *rax);
__asm__(".text\n"
	"call_checked:\n"
	"	push	%rbx\n	push	%rbp\n	push	%r12\n	push	%r13\n	push	%r14\n	push	%r15\n"
	"	push	%rsi\n"
	"	mov	%rdi, %rax\n"
	"	mov	$0x101, %ebx\n	mov	$0x102, %ebp\n	mov	$0x103, %r12d\n	mov	$0x104, %r13d\n"
	"	mov	$0x105, %r14d\n	mov	$0x106, %r15d\n	mov	$0x107, %edi\n	mov	$0x108, %esi\n"
	"	mov	$0x109, %edx\n	mov	$0x10a, %r8d\n	mov	$0x10b, %r9d\n	mov	$0x10c, %r10d\n"
	"	call	*%rax\n"
	"	xor	%ecx, %ecx\n"
	"	.irp	r, rbx, rbp, r12, r13, r14, r15, rdi, rsi, rdx, r8, r9, r10\n"
	"	sub	$0x100, %\\r\n"
	"	.endr\n"
	"	.irp	r, r10, r9, r8, rdx, rsi, rdi, r15, r14, r13, r12, rbp, rbx\n"
	"	shl	$1, %ecx\n"
	"	.endr\n"
	"	cmp	$1, %rbx\n	je	1f\n	or	$1, %ecx\n"
	"1:	cmp	$2, %rbp\n	je	1f\n	or	$2, %ecx\n"
	"1:	cmp	$3, %r12\n	je	1f\n	or	$4, %ecx\n"
	"1:	cmp	$4, %r13\n	je	1f\n	or	$8, %ecx\n"
	"1:	cmp	$5, %r14\n	je	1f\n	or	$16, %ecx\n"
	"1:	cmp	$6, %r15\n	je	1f\n	or	$32, %ecx\n"
	"1:	cmp	$7, %rdi\n	je	1f\n	or	$64, %ecx\n"
	"1:	cmp	$8, %rsi\n	je	1f\n	or	$128, %ecx\n"
	"1:	cmp	$9, %rdx\n	je	1f\n	or	$256, %ecx\n"
	"1:	cmp	$10, %r8\n	je	1f\n	or	$512, %ecx\n"
	"1:	cmp	$11, %r9\n	je	1f\n	or	$1024, %ecx\n"
	"1:	cmp	$12, %r10\n	je	1f\n	or	$2048, %ecx\n"
	"1:	pop	%rsi\n"
	"	mov	%rax, (%rsi)\n"
	"	mov	%ecx, %eax\n"
	"	pop	%r15\n	pop	%r14\n	pop	%r13\n	pop	%r12\n	pop	%rbp\n	pop	%rbx\n"
	"	ret\n");

/* Numbers below 400 are served, but for getppid, and for clone and vfork, which the stub cannot make (the leak checker of
 * a sanitizer build calls clone). */
static bool served(unsigned nr)
{
	return nr < 400 && nr != 110 && nr != 56 && nr != 58;
}

struct fake {
	struct object o;
	uint8_t *map, *code;
	size_t used;
	struct {
		uint32_t from, size;
	} fn[FN_MAX];
	uint32_t nfn;
};

static void fake_init(struct fake *f)
{
	memset(f, 0, sizeof *f);
	f->map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(f->map != MAP_FAILED);
	f->code = f->map + PAGE;
	f->used = 256;
	memset(f->code, 0xcc, 2 * PAGE);
}

/* Adds a function; returns its offset in the code page. */
static size_t fake_add(struct fake *f, const uint8_t *bytes, size_t n)
{
	size_t at = f->used;

	memcpy(f->code + at, bytes, n);
	f->fn[f->nfn].from = (uint32_t)at;
	f->fn[f->nfn++].size = (uint32_t)n;
	f->used = (at + n + 271) & ~(size_t)15;
	return at;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* A CIE ("zR", pcrel sdata4) and an FDE for each function, behind the search table. */
static void fake_eh_frame(struct fake *f)
{
	uint8_t *hdr = f->map, *frame = f->map + 1024, *p = frame;
	static const uint8_t cie[] = {1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0};

	put32(p, 4 + sizeof cie);
	put32(p + 4, 0);
	memcpy(p + 8, cie, sizeof cie);
	p += 8 + sizeof cie;
	memcpy(hdr, "\x01\x1b\x03\x3b", 4);
	put32(hdr + 4, (uint32_t)(frame - (hdr + 4)));
	put32(hdr + 8, f->nfn);
	for (uint32_t i = 0; i < f->nfn; i++) {
		uint8_t *fn = f->code + f->fn[i].from;

		put32(hdr + 12 + 8 * i, (uint32_t)(fn - hdr));
		put32(hdr + 16 + 8 * i, (uint32_t)(p - hdr));
		put32(p, 16);
		put32(p + 4, (uint32_t)(p + 4 - frame));
		put32(p + 8, (uint32_t)(fn - (p + 8)));
		put32(p + 12, f->fn[i].size);
		put32(p + 16, 0);
		p += 20;
	}
}

static int fake_rewrite(struct fake *f)
{
	struct rewrite_config c = {test_entry, test_entry, served, NULL, NULL, NULL, NULL};
	uintptr_t text = (uintptr_t)f->code;

	fake_eh_frame(f);
	f->o.base = (uintptr_t)f->map;
	f->o.lo = f->o.base;
	f->o.hi = f->o.base + 3 * PAGE;
	f->o.eh_frame_hdr = f->o.base;
	f->o.eh_frame_hdr_size = 1024;
	f->o.text[0] = (struct segment){text, text + 2 * PAGE, PROT_READ | PROT_EXEC};
	f->o.ntext = 1;
	strcpy(f->o.name, "fake");
	ck_assert_int_eq(mprotect(f->code, 2 * PAGE, PROT_READ | PROT_EXEC), 0);
	rewrite_init(&c);
	return rewrite_object(&f->o);
}

static const struct site *site_at(const struct fake *f, size_t offset)
{
	return site_of_addr((uintptr_t)f->code + offset);
}

/* What is displaced, as offsets in the function. */
struct golden {
	const char *name;
	const uint8_t *code;
	size_t n;
	size_t syscall, from, to;
	int nr;
	enum site_state state;
	enum site_reason reason;
};

#define SYSCALL "\x0f\x05"
#define RET "\xc3"
#define MOV_39 "\xb8\x27\0\0\0"	      /* mov $39,%eax (getpid) */
#define CMP "\x48\x3d\x00\xf0\xff\xff" /* cmp $-4096,%rax */

static const struct golden golden[] = {
	{"mov, syscall", CODE("\x90" MOV_39 SYSCALL RET), 6, 1, 8, 39, SITE_REWRITTEN, REASON_NONE},
	{"the same at the start of a function", CODE(MOV_39 SYSCALL RET), 5, 0, 7, 39, SITE_REWRITTEN, REASON_NONE},
	{"mov with REX.W", CODE("\x48\xc7\xc0\x27\0\0\0" SYSCALL RET), 7, 0, 9, 39, SITE_REWRITTEN, REASON_NONE},
	{"mov, xor, syscall", CODE(MOV_39 "\x40\x80\xf6\x81" SYSCALL RET), 9, 0, 11, 39, SITE_REWRITTEN, REASON_NONE},
	{"xor, syscall, cmp", CODE("\x31\xc0" SYSCALL CMP RET), 2, 2, 10, 0, SITE_REWRITTEN, REASON_NONE},
	{"load, xor, syscall", CODE("\x8b\x7c\x24\x08\x31\xc0" SYSCALL CMP RET), 6, 0, 8, 0, SITE_REWRITTEN, REASON_NONE},
	{"number in a register", CODE("\x44\x89\xc0" SYSCALL RET), 3, 0, 5, -1, SITE_REWRITTEN, REASON_NONE},
	{"copied constant", CODE("\x41\xb8\x27\0\0\0\x44\x89\xc0" SYSCALL RET), 9, 0, 11, 39, SITE_REWRITTEN, REASON_NONE},
	{"syscall, cmp", CODE("\xff\xd0" SYSCALL CMP RET), 2, 2, 10, -1, SITE_REWRITTEN, REASON_NONE},
	{"operand relative to RIP", CODE("\xff\xd0\x8b\x35\x10\0\0\0" SYSCALL RET), 8, 2, 10, -1, SITE_REWRITTEN, REASON_NONE},
	{"a jcc at the end", CODE("\xff\xd0" SYSCALL "\x85\xc0\x78\x01\x90" RET), 2, 2, 8, -1, SITE_REWRITTEN, REASON_NONE},
	{"syscall, ret too short", CODE("\xff\xd0" SYSCALL RET), 2, 0, 0, -1, SITE_REFUSED, REASON_NO_SPAN},
	{"call behind", CODE("\xff\xd0" SYSCALL "\xe8\0\0\0\0" RET), 2, 0, 0, -1, SITE_REFUSED, REASON_NO_SPAN},
	{"syscall behind", CODE("\xff\xd0" SYSCALL SYSCALL CMP RET), 2, 0, 0, -1, SITE_REFUSED, REASON_NO_SPAN},
	{"endbr64 behind", CODE("\xff\xd0" SYSCALL "\xf3\x0f\x1e\xfa" RET), 2, 0, 0, -1, SITE_REFUSED, REASON_NO_SPAN},
	{"short branch to the syscall", CODE("\xeb\x03\x44\x89\xc0" SYSCALL RET), 5, 0, 0, -1, SITE_REFUSED,
	 REASON_BRANCH_INTO_SPAN},
	{"near branch to the syscall", CODE("\x0f\x84\x03\0\0\0\x44\x89\xc0" SYSCALL RET), 9, 0, 0, -1, SITE_REFUSED,
	 REASON_BRANCH_INTO_SPAN},
	{"backward branch behind it", CODE("\xff\xd0" SYSCALL CMP "\x76\xf8" RET), 2, 0, 0, -1, SITE_REFUSED,
	 REASON_BRANCH_INTO_SPAN},
	{"loop to the start of the span", CODE("\xff\xd0\x44\x89\xc0" SYSCALL "\x76\xf9" RET), 5, 2, 7, -1, SITE_REWRITTEN, REASON_NONE},
	{"bytes that only look like a branch", CODE("\x66\xbb\xeb\x03\x44\x89\xc0" SYSCALL RET), 7, 4, 9, -1, SITE_REWRITTEN, REASON_NONE},
	{"branch to a syscall that stays", CODE("\xeb\x05" MOV_39 SYSCALL RET), 7, 2, 9, 39, SITE_REWRITTEN, REASON_BRANCH_TO_SITE},
	{"branch behind a load that is not served", CODE("\xeb\x05\xb8\x6e\0\0\0\x90\x90\x90" SYSCALL CMP RET), 10, 10, 18, -1,
	 SITE_REWRITTEN, REASON_NONE},
	{"jump table", CODE("\xff\xe0" SYSCALL CMP RET), 2, 0, 0, -1, SITE_REFUSED, REASON_INDIRECT},
	{"not served", CODE("\xb8\x6e\0\0\0" SYSCALL RET), 5, 0, 0, 110, SITE_NOT_NEEDED, REASON_NONE},
	{"not served, further away", CODE("\xb8\x6e\0\0\0\x31\xff" SYSCALL RET), 7, 0, 0, 110, SITE_NOT_NEEDED, REASON_NONE},
	{"rt_sigreturn", CODE("\x48\xc7\xc0\x0f\0\0\0" SYSCALL "\x90"), 7, 0, 0, 15, SITE_NOT_NEEDED, REASON_SIGRETURN},
	{"rt_sigreturn, short", CODE("\xb8\x0f\0\0\0\x90" SYSCALL "\x90"), 6, 0, 0, 15, SITE_NOT_NEEDED, REASON_SIGRETURN},
};

START_TEST(golden_case)
{
	const struct golden *g = &golden[_i];
	const struct site *s;
	struct fake f;
	uintptr_t fn;

	fake_init(&f);
	fn = (uintptr_t)f.code + fake_add(&f, g->code, g->n);
	ck_assert_int_ge(fake_rewrite(&f), g->state == SITE_REWRITTEN);
	s = site_of_addr(fn + g->syscall);
	if (!s) /* the syscall is behind the span */
		s = site_of_addr(fn + g->syscall + 2);
	ck_assert_msg(s != NULL, "%s: no site", g->name);
	ck_assert_msg(s->state == g->state && s->reason == g->reason, "%s: state %d reason %d", g->name, s->state, s->reason);
	ck_assert_msg(s->nr == g->nr, "%s: number %d", g->name, s->nr);
	if (g->state == SITE_REWRITTEN) {
		ck_assert_msg(s->span == fn + g->from && s->span_end == fn + g->to, "%s: span %d-%d", g->name, (int)(s->span - fn),
			      (int)(s->span_end - fn));
		ck_assert_int_eq(*(uint8_t *)s->span, 0xe9);
		ck_assert(!memcmp((void *)fn, g->code, g->from));
		ck_assert(!memcmp((char *)fn + g->from + 5, g->code + g->from + 5, g->n - g->from - 5));
	} else {
		ck_assert(!memcmp((void *)fn, g->code, g->syscall + 2));
		ck_assert_uint_eq(s->tramp, 0);
	}
}
END_TEST

/* Two bytes inside another instruction, and code without known bounds. */
START_TEST(no_instruction)
{
	struct fake f;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE("\xb8\x0f\x05\0\0" RET));
	memcpy(f.code + 0x1800, MOV_39 SYSCALL RET, 8);
	memcpy(f.code + 0x1900, "data " SYSCALL "data", 11);
	ck_assert_int_eq(fake_rewrite(&f), 0);
	ck_assert_ptr_null(site_at(&f, at + 1));
	ck_assert_int_eq(site_at(&f, 0x1805)->reason, REASON_NO_BOUNDS);
	ck_assert_ptr_null(site_at(&f, 0x1905));
}
END_TEST

/* mov $0,-72(%rbp): the bytes of a displacement and an immediate look like mov $nr,%eax. */
START_TEST(false_mov)
{
	struct fake f;
	const struct site *s;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE("\xc7\x45\xb8\x27\0\0\0" SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	s = site_at(&f, at);
	ck_assert_uint_eq(s->span, (uintptr_t)f.code + at);
	ck_assert_int_eq(s->nr, -1);
}
END_TEST

/* Behind the end of the FDE, as in glibc's clone. */
START_TEST(behind_fde)
{
	struct fake f;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE("\x90" MOV_39 SYSCALL RET));
	f.fn[0].size = 6;
	ck_assert_int_eq(fake_rewrite(&f), 1);
	ck_assert_int_eq(site_at(&f, at + 1)->nr, 39);
}
END_TEST

START_TEST(trampoline_bytes)
{
	static const uint8_t want[] = {0xb8, 39, 0, 0, 0, 0x48, 0x8d, 0x64, 0x24, 0x80, 0xff, 0x15};
	static const uint8_t back[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0, 0xe9};
	struct fake f;
	const struct site *s;
	int32_t d;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE(MOV_39 SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	s = site_at(&f, at);
	ck_assert(!memcmp((void *)s->tramp, want, sizeof want));
	memcpy(&d, (void *)(s->tramp + sizeof want), 4);
	ck_assert_ptr_eq(*(char **)(s->tramp + sizeof want + 4 + d), test_entry);
	ck_assert_uint_eq(s->ret, s->tramp + sizeof want + 4);
	ck_assert(!memcmp((void *)s->ret, back, sizeof back));
	memcpy(&d, (void *)(s->ret + sizeof back), 4);
	ck_assert_uint_eq(s->ret + sizeof back + 4 + d, s->next);
	memcpy(&d, (void *)(s->span + 1), 4);
	ck_assert_uint_eq(s->span + 5 + d, s->tramp);
}
END_TEST

/* What a signal handler makes of every instruction of a trampoline. */
static void back_to_the_program(const struct site *s)
{
	uintptr_t sp = 1000;

	ck_assert_uint_eq(site_original(s->tramp, &sp), s->tramp == s->ret - 11 ? s->addr : s->span);
	ck_assert_uint_eq(site_original(s->ret - 11, &sp), s->addr); /* lea: not moved yet */
	ck_assert_uint_eq(sp, 1000);
	ck_assert_uint_eq(site_original(s->ret - 6, &sp), s->addr); /* call */
	ck_assert_uint_eq(sp, 1128);
	sp = 1000;
	ck_assert_uint_eq(site_original(s->ret, &sp), s->next);
	ck_assert_uint_eq(sp, 1128);
	ck_assert_uint_eq(site_original(s->ret + 8, &sp), s->next);
	ck_assert_uint_eq(site_original(s->ret + 8 + (s->span_end - s->next), &sp), s->span_end); /* jmp */
	ck_assert_uint_eq(site_original(site_restart(s), &sp), site_restart(s) < s->ret ? s->addr - 5 : s->addr);
	ck_assert_uint_eq(sp, 1128);
	ck_assert_uint_eq(site_original(s->addr, &sp), 0);
}

START_TEST(lookups)
{
	struct fake f;
	size_t at[3];

	fake_init(&f);
	at[0] = fake_add(&f, CODE(MOV_39 SYSCALL RET));
	at[1] = fake_add(&f, CODE("\xb8\x6e\0\0\0" SYSCALL RET)); /* not needed */
	at[2] = fake_add(&f, CODE("\x31\xc0" SYSCALL CMP RET));
	ck_assert_int_eq(fake_rewrite(&f), 2);
	for (int i = 0; i < 3; i += 2) {
		const struct site *s = site_at(&f, at[i] + 2);

		ck_assert_ptr_nonnull(s);
		ck_assert_ptr_eq(site_of_ret(s->ret), s);
		ck_assert_ptr_null(site_of_ret(s->ret + 1));
		ck_assert_ptr_eq(site_of_addr(s->next), s);
		ck_assert_ptr_null(site_of_addr(s->span - 1));
		ck_assert(tramp_contains(s->tramp) && tramp_contains(s->ret) && !tramp_contains(s->addr));
		back_to_the_program(s);
	}
	ck_assert_uint_eq(site_at(&f, at[1] + 5)->tramp, 0);
	ck_assert_ptr_null(site_of_ret(0));
}
END_TEST

START_TEST(resume)
{
	struct fake f;
	const struct site *s;
	uintptr_t fn;

	fake_init(&f);
	fn = (uintptr_t)f.code + fake_add(&f, CODE("\x31\xc0" SYSCALL CMP RET)); /* cmp displaced */
	ck_assert_int_eq(fake_rewrite(&f), 1);
	s = site_of_addr(fn + 2);
	ck_assert_uint_eq(site_resume(fn + 2), fn + 2);
	ck_assert_uint_eq(site_resume(fn + 3), fn + 3); /* no instruction begins there */
	ck_assert_uint_eq(site_resume(fn + 4), s->ret + 8);
	ck_assert(!memcmp((void *)site_resume(fn + 4), CMP, 6));
	ck_assert_uint_eq(site_resume(fn + 10), fn + 10);
	ck_assert_uint_eq(site_resume(fn - 1), fn - 1);
	ck_assert_int_eq(*(uint8_t *)site_restart(s), 0xb8);
}
END_TEST

START_TEST(resume_at_damaged_syscall)
{
	struct fake f;
	const struct site *s;
	uintptr_t fn;

	fake_init(&f);
	fn = (uintptr_t)f.code + fake_add(&f, CODE("\x44\x89\xc0" SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	s = site_of_addr(fn);
	ck_assert_uint_eq(site_resume(fn + 3), s->ret - 11);
	ck_assert_uint_eq(site_resume(fn + 5), fn + 5);
	ck_assert_uint_eq(site_restart(s), s->ret - 11);
}
END_TEST

START_TEST(resume_in_place)
{
	struct fake f;
	const struct site *s;
	uintptr_t fn;

	fake_init(&f);
	fn = (uintptr_t)f.code + fake_add(&f, CODE(MOV_39 "\x31\xff" SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	s = site_of_addr(fn);
	ck_assert_uint_eq(site_resume(s->next), s->next);
	ck_assert_uint_eq(site_resume(fn + 5), s->tramp + 5);
	ck_assert_uint_eq(site_resume(s->addr), s->tramp + 7);
}
END_TEST

static uint64_t run(void *fn, uint64_t calls)
{
	uint64_t before = test_calls, rax = 0, changed = call_checked(fn, &rax);

	ck_assert_msg(changed == 0, "registers changed: %#lx", (unsigned long)changed);
	ck_assert_uint_eq(test_calls - before, calls);
	return rax;
}

START_TEST(run_plain)
{
	struct fake f;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE(MOV_39 SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	ck_assert_uint_eq(run(f.code + at, 1), (uint64_t)getpid());
	ck_assert_uint_eq(test_number, 39);
	ck_assert_uint_eq(test_ret, site_at(&f, at)->ret);
}
END_TEST

/* Values at both ends of the red zone are there after the call, and an operand relative to RSP is right. */
START_TEST(run_red_zone)
{
	struct fake f;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE("\x48\xc7\x44\x24\xf8\x27\0\0\0"	      /* movq $39,-8(%rsp) */
			       "\x48\xc7\x44\x24\x80\x02\0\0\0"	      /* movq $2,-128(%rsp) */
			       "\x66\x90\xeb\0"			      /* a branch: nothing before can be displaced */
			       "\x8b\x44\x24\xf8"		      /* mov -8(%rsp),%eax */
			       SYSCALL "\x48\x8b\x44\x24\xf8"	      /* mov -8(%rsp),%rax */
			       "\x48\x03\x44\x24\x80" RET));	      /* add -128(%rsp),%rax */
	ck_assert_int_eq(fake_rewrite(&f), 1);
	ck_assert_uint_eq(run(f.code + at, 1), 41);
	ck_assert_uint_eq(test_number, 39);
}
END_TEST

START_TEST(run_rip_operand)
{
	struct fake f;
	size_t at;
	uint8_t code[] = "\xeb\0\x8b\x05\0\0\0\0" SYSCALL "\x03\x05\0\0\0\0" RET; /* mov nr(%rip),%eax; add more(%rip),%eax */

	fake_init(&f);
	at = f.used;
	put32(code + 4, (uint32_t)(0x1800 - (at + 8)));
	put32(code + 12, (uint32_t)(0x1804 - (at + 16)));
	fake_add(&f, code, sizeof code - 1);
	put32(f.code + 0x1800, 39);
	put32(f.code + 0x1804, 1000);
	ck_assert_int_eq(fake_rewrite(&f), 1);
	ck_assert_uint_eq(run(f.code + at, 1), (uint64_t)getpid() + 1000);
}
END_TEST

/* A jcc that was moved, taken and not taken: getpid() > 0, write to a bad descriptor < 0. */
START_TEST(run_moved_branch)
{
	static const uint8_t tail[] = "\xeb\0" SYSCALL "\x85\xc0\x78\x06\xb8\x01\0\0\0\xc3\xb8\x02\0\0\0\xc3";
	uint8_t code[5 + sizeof tail - 1];
	struct fake f;
	size_t at[2];

	fake_init(&f);
	memcpy(code, MOV_39, 5);
	memcpy(code + 5, tail, sizeof tail - 1);
	at[0] = fake_add(&f, code, sizeof code);
	code[1] = 3; /* close(0x107) */
	at[1] = fake_add(&f, code, sizeof code);
	ck_assert_int_eq(fake_rewrite(&f), 2);
	ck_assert_uint_eq(run(f.code + at[0], 1), 1);
	ck_assert_uint_eq(run(f.code + at[1], 1), 2);
	ck_assert_uint_eq(test_number, 3);
}
END_TEST

/* A branch to the syscall that stayed in place is still a system call, but not ours. */
START_TEST(run_branch_to_syscall)
{
	struct fake f;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE("\xb8\x27\0\0\0\xeb\x05" MOV_39 SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	ck_assert_int_eq(site_at(&f, at + 12)->reason == REASON_NONE, 0);
	ck_assert_uint_eq(run(f.code + at, 0), (uint64_t)getpid());
	ck_assert_uint_eq(run(f.code + at + 7, 1), (uint64_t)getpid());
}
END_TEST

/* Execution resumed at site_restart makes the call again. */
START_TEST(run_restart)
{
	struct fake f;
	size_t at;

	fake_init(&f);
	at = fake_add(&f, CODE(MOV_39 "\x31\xff" SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	ck_assert_uint_eq(run((void *)site_restart(site_at(&f, at)), 1), (uint64_t)getpid());
	ck_assert_uint_eq(test_number, 39);
}
END_TEST

START_TEST(text_protection)
{
	struct fake f;
	size_t at;
	char line[256];
	FILE *maps;

	fake_init(&f);
	at = fake_add(&f, CODE(MOV_39 SYSCALL RET));
	ck_assert_int_eq(fake_rewrite(&f), 1);
	maps = fopen("/proc/self/maps", "r");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof line, maps)) {
		uintptr_t lo, hi, tramp = site_at(&f, at)->tramp;
		char prot[5];

		if (sscanf(line, "%lx-%lx %4s", &lo, &hi, prot) != 3)
			continue;
		if (((uintptr_t)f.code >= lo && (uintptr_t)f.code < hi) || (tramp >= lo && tramp < hi))
			ck_assert_str_eq(prot, "r-xp");
	}
	fclose(maps);
}
END_TEST

/* The table of lengths against Zydis, on every instruction of libc. */
START_TEST(lengths_of_libc)
{
	struct object_list l;
	size_t n = 0, by_table = 0;

	decode_init();
	ck_assert_int_eq(object_list_get(&l), 0);
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i].kind != OBJECT_LIBC && l.v[i].kind != OBJECT_LDSO)
			continue;
		for (uintptr_t p = l.v[i].text[0].lo, hi = l.v[i].text[0].hi; p < hi;) {
			unsigned table = length_by_table(p, hi);
			struct insn in;

			if (!decode_insn(p, hi, &in)) {
				p++;
				continue;
			}
			ck_assert_msg(!table || table == in.len, "%s+%#lx: %u, Zydis says %u", l.v[i].name,
				      (unsigned long)(p - l.v[i].base), table, in.len);
			n++;
			by_table += table != 0;
			p += in.len;
		}
	}
	object_list_free(&l);
	ck_assert_uint_gt(n, 300000);
	ck_assert_uint_gt(by_table, n - n / 10);
}
END_TEST

START_TEST(objects)
{
	struct object_list l;
	int libc = 0, ldso = 0, skipped = 0;

	ck_assert_int_eq(object_list_get(&l), 0);
	for (size_t i = 0; i < l.n; i++) {
		const struct object *o = &l.v[i];
		const Elf64_Sym *sym;

		libc += o->kind == OBJECT_LIBC;
		ldso += o->kind == OBJECT_LDSO;
		skipped += o->kind == OBJECT_SKIP;
		if (o->kind != OBJECT_LIBC)
			continue;
		sym = object_symbol(o, (uintptr_t)&getppid + 1, true);
		ck_assert_ptr_nonnull(sym);
		ck_assert_ptr_nonnull(strstr(o->strtab + sym->st_name, "getppid"));
	}
	ck_assert_int_eq(libc, 1);
	ck_assert_int_eq(ldso, 1);
	ck_assert_int_ge(skipped, 2); /* this program, libZydis */
	object_list_free(&l);
}
END_TEST

/* At every place relative to the blocks that the scan looks at, and at both ends. */
START_TEST(scan)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool gs;
		size_t syscalls;
	} cases[] = {
		{"\xf3\x0f\xae\xd8", 4, true, 0},	  /* wrgsbase %eax */
		{"\xf3\x49\x0f\xae\xdf", 5, true, 0}, /* wrgsbase %r15 */
		{"\x0f\xae\xd8", 3, false, 0},
		{"\xf3\x0f\xae\xd7", 4, false, 0}, /* wrfsbase */
		{"\xf3\x0f\xae\xcf", 4, false, 0}, /* rdgsbase */
		{"\xf3\x66\x0f\xae\xd8", 5, false, 0},
		{"\x0f\x05", 2, false, 1},
		{"\x0f\x05\xf3\x48\x0f\xae\xdb\x0f\x05", 9, true, 2},
	};
	uint8_t text[200];
	uintptr_t found[4];

	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
		for (size_t at = 0; at + cases[k].n <= sizeof text; at++) {
			bool gs = false;
			memset(text, 0x90, sizeof text);
			memcpy(text + at, cases[k].bytes, cases[k].n);
			size_t n = scan_syscalls((uintptr_t)text, (uintptr_t)text + sizeof text, found, 4, &gs);
			ck_assert_uint_eq(n, cases[k].syscalls);
			ck_assert_int_eq(gs, cases[k].gs);
			if (n)
				ck_assert_uint_eq(found[0], (uintptr_t)text + at);
		}
}
END_TEST

/* Everything, in a child: libc and ld.so of this process go through the stub from then on. */
START_TEST(whole_process)
{
	struct rewrite_config c = {test_entry, test_entry, served, NULL, NULL, NULL, NULL};
	struct rewrite_counts n;
	char buf[32];
	int fd[2], err;
	uint64_t calls;

	rewrite_init(&c);
	ck_assert_int_gt(rewrite_all(), 500);
	ck_assert_int_eq(rewrite_all(), 0);
	rewrite_count(&n);
	ck_assert_uint_eq(n.refused, 0);
	test_calls = 0; /* check makes calls of its own */
	err = pipe(fd) != 0 || write(fd[1], "hello", 5) != 5 || read(fd[0], buf, sizeof buf) != 5;
	err |= read(-1, buf, 1) != -1 || errno != EBADF;
	calls = test_calls;
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(calls, 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rewrite");
	TCase *t = tcase_create("sites");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, golden_case, 0, sizeof golden / sizeof *golden);
	tcase_add_test(t, no_instruction);
	tcase_add_test(t, false_mov);
	tcase_add_test(t, behind_fde);
	tcase_add_test(t, trampoline_bytes);
	tcase_add_test(t, lookups);
	tcase_add_test(t, resume);
	tcase_add_test(t, resume_at_damaged_syscall);
	tcase_add_test(t, resume_in_place);
	tcase_add_test(t, run_plain);
	tcase_add_test(t, run_red_zone);
	tcase_add_test(t, run_rip_operand);
	tcase_add_test(t, run_moved_branch);
	tcase_add_test(t, run_branch_to_syscall);
	tcase_add_test(t, run_restart);
	tcase_add_test(t, text_protection);
	tcase_add_test(t, lengths_of_libc);
	tcase_add_test(t, objects);
	tcase_add_test(t, scan);
	tcase_add_test(t, whole_process);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
