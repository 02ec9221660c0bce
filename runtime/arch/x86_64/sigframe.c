/* sigframe.c - builds the kernel's signal frames on x86-64.
 *
 * A context is a struct kuc: all registers, and in fpstate the address of the floating-point state in the kernel's own
 * format (an XSAVE area with the kernel's magic numbers, 0 for the initial state). Pushing a handler on a context
 * writes a frame for the context where the kernel would, below the red zone or on the G's alternate stack, and turns
 * the context into the handler's first instruction. So several signals pile up as they do in the kernel, and one
 * rt_sigreturn on the final context enters the last handler.
 *
 * This runs on the M's signal stack, because the frame may overwrite the stack that the context is on. The source of
 * the floating-point state may be an older frame in the same place; then it is copied aside first.
 */
#include "sigframe.h"
#include "../../sigimpl.h"

#define FP_LEGACY 512
#define FP_HEADER 64
#define FP_SW 464 /* the kernel's struct _fpx_sw_bytes in the legacy area */
#define FP_MAGIC1 0x46505853u
#define FP_MAGIC2 0x46505845u
#define FP_MAX (32u << 10)

#define UC_FP_XSTATE 1
#define UC_SIGCONTEXT_SS 2
#define UC_STRICT_RESTORE_SS 4

#define USER_CS 0x33
#define USER_SS 0x2b
#define EFLAGS_SITE 0x202
#define EFLAGS_DROPPED (0x100u | 0x400 | 0x10000) /* TF DF RF */

#define XFEATURES_AMX (3ULL << 17) /* the kernel's frames have them only for threads that asked */
#define AUTODISARM (1u << 31)
#define MIN_ALTSTACK 2048
#define ROOM_TO_PARK 2048

struct fp_sw {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};

static uint64_t xfeatures; /* 0: only FXSAVE */
static uint32_t xsize = FP_LEGACY;
static uint8_t init_state[FP_MAX] __attribute__((aligned(64)));

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(sub));
}

static void find_xsave(void)
{
	uint32_t r[4], lo, hi;
	cpuid(1, 0, r);
	if (!(r[2] & 1u << 27)) /* OSXSAVE */
		return;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	xfeatures = ((uint64_t)hi << 32 | lo) & ~XFEATURES_AMX;
	xsize = FP_LEGACY + FP_HEADER;
	for (uint32_t i = 2; i < 63; i++) {
		if (!(xfeatures >> i & 1))
			continue;
		cpuid(0xd, i, r);
		if (r[1] + r[0] > xsize)
			xsize = r[1] + r[0];
	}
	check(xsize + 4 <= FP_MAX);
}

static void put_magic(uint8_t *fp)
{
	struct fp_sw *sw = (struct fp_sw *)(fp + FP_SW);
	*sw = (struct fp_sw){ 0 };
	if (!xfeatures)
		return;
	sw->magic1 = FP_MAGIC1;
	sw->extended_size = xsize + 4;
	sw->xfeatures = xfeatures;
	sw->xstate_size = xsize;
	*(uint32_t *)(void *)(fp + xsize) = FP_MAGIC2;
}

static void save_fp(uint8_t *fp)
{
	if (xfeatures) {
		for (int i = 0; i < FP_HEADER / 8; i++)
			((uint64_t *)(void *)(fp + FP_LEGACY))[i] = 0;
		__asm__ volatile("xsave64 (%0)"
				 :
				 : "r"(fp), "a"((uint32_t)xfeatures), "d"((uint32_t)(xfeatures >> 32))
				 : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(fp) : "memory");
	}
	put_magic(fp);
}

void arch_sig_init(void)
{
	find_xsave();
	/* The header's bit vector is zero: every component is in its initial state. */
	*(uint16_t *)(void *)init_state = 0x37f;	 /* x87 control word */
	*(uint32_t *)(void *)(init_state + 24) = 0x1f80; /* MXCSR */
	*(uint32_t *)(void *)(init_state + 28) = 0xffff; /* its mask */
	put_magic(init_state);
}

size_t arch_fpsize(void)
{
	return align_up(xsize + 4, 64);
}

static uint32_t fp_size(const struct kuc *c)
{
	struct fp_sw sw;
	if (arch_user_copy(&sw, (const void *)(c->fpstate + FP_SW), sizeof(sw)))
		return 0;
	if (!(c->flags & UC_FP_XSTATE) || sw.magic1 != FP_MAGIC1)
		return FP_LEGACY;
	return sw.extended_size > FP_MAX ? 0 : sw.extended_size;
}

/* --- what the program is at --- */

#define LOOP 32 /* bytes: a loop that looks at a word, counts and pauses */

bool arch_at_pause(const struct kuc *c)
{
	uint8_t code[2 * LOOP];
	if (arch_user_copy(code, (const void *)(c->ip - LOOP), sizeof(code)))
		return false;
	for (unsigned i = 0; i + 1 < sizeof(code); i++)
		if (code[i] == 0xf3 && code[i + 1] == 0x90)
			return true;
	return false;
}

/* --- alternate stacks --- */

static bool within_altstack(const struct g *g, uintptr_t sp)
{
	return sp > g->sig.alt_sp && sp - g->sig.alt_sp <= g->sig.alt_size;
}

/* With SS_AUTODISARM the settings are not in force while a handler runs there. */
bool on_altstack(const struct g *g, uintptr_t sp)
{
	return !((uint32_t)g->sig.alt_flags & AUTODISARM) && within_altstack(g, sp);
}

void altstack_restore(struct g *g, const struct kstack *st, uintptr_t sp)
{
	if (st->sp == g->sig.alt_sp && st->size == g->sig.alt_size && st->flags == g->sig.alt_flags)
		return;
	uint32_t mode = (uint32_t)st->flags & ~AUTODISARM;
	if (on_altstack(g, sp) || (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0))
		return;
	if (mode != SS_DISABLE && st->size < MIN_ALTSTACK)
		return;
	g->sig.alt_sp = mode == SS_DISABLE ? 0 : st->sp;
	g->sig.alt_size = mode == SS_DISABLE ? 0 : st->size;
	g->sig.alt_flags = st->flags;
}

struct kstack arch_sig_mstack(void)
{
	struct m *m = getm();
	return (struct kstack){ .sp = (uintptr_t)m->sigstack, .size = m->sigstack_size };
}

/* --- pushing --- */

static bool overlap(uintptr_t a, size_t an, uintptr_t b, size_t bn)
{
	return a < b + bn && b < a + an;
}

static bool copy_fp(uintptr_t to, uintptr_t from, size_t n, uintptr_t frame)
{
	if (to == from)
		return true;
	if (!overlap(frame, to + n - frame, from, n))
		return !arch_user_copy((void *)to, (const void *)from, n);
	uint8_t *aside = __builtin_alloca(n);
	return !arch_user_copy(aside, (const void *)from, n) && !arch_user_copy((void *)to, aside, n);
}

/* Where the frame goes; 0: it does not fit on the alternate stack. */
static uintptr_t frame_address(const struct kuc *c, const struct g *g, uint64_t sa_flags, size_t fpn, uintptr_t *fp)
{
	uintptr_t sp = c->sp - RED_ZONE;
	bool alt = on_altstack(g, sp);
	if ((sa_flags & SA_ONSTACK) && g->sig.alt_size && !alt) {
		sp = g->sig.alt_sp + g->sig.alt_size;
		alt = true;
	}
	*fp = align_down(sp - fpn, 64);
	sp = align_down(*fp - sizeof(struct kframe), 16) - 8;
	return alt && !within_altstack(g, sp) ? 0 : sp;
}

bool arch_sig_push(struct kuc *c, struct g *g, const struct sigdelivery *d)
{
	if (!c->fpstate) {
		c->fpstate = (uintptr_t)init_state;
		c->flags |= xfeatures ? UC_FP_XSTATE : 0;
	}
	uintptr_t fp;
	size_t fpn = fp_size(c);
	uintptr_t sp = fpn ? frame_address(c, g, d->sa.flags, fpn, &fp) : 0;
	if (!sp || !copy_fp(fp, c->fpstate, fpn, sp))
		return false;
	struct kframe f = { .restorer = (uintptr_t)preloom_sigreturn, .uc = *c, .info = d->info };
	f.uc.link = 0;
	f.uc.stack = (struct kstack){ .sp = g->sig.alt_sp, .flags = g->sig.alt_flags, .size = g->sig.alt_size };
	f.uc.fpstate = fp;
	f.uc.sigmask = f.uc.oldmask = d->restore;
	if (arch_user_copy((void *)sp, &f, sizeof(f)))
		return false;
	if ((uint32_t)g->sig.alt_flags & AUTODISARM) {
		g->sig.alt_sp = g->sig.alt_size = 0;
		g->sig.alt_flags = SS_DISABLE;
	}
	c->sp = sp;
	c->ip = d->sa.handler;
	c->di = (uint64_t)d->sig;
	c->si = sp + offsetof(struct kframe, info);
	c->dx = sp + offsetof(struct kframe, uc);
	c->ax = 0;
	c->cs = USER_CS;
	c->ss = USER_SS;
	c->eflags &= ~(uint64_t)EFLAGS_DROPPED;
	c->fpstate = 0;
	c->flags &= ~(uint64_t)UC_FP_XSTATE;
	return true;
}

/* A frame that stays while others run belongs on the stack that the G runs on, if that is the one its thread was made
 * with: threads may share an alternate stack, as long as no two handlers run at a time. On a stack of the program's own
 * making (coroutines) there may be no room for a frame that it does not expect: there the alternate stack serves. */
bool arch_sig_push_call(struct kuc *c, struct g *g, void (*fn)(void))
{
	struct sigdelivery d = { .sa.handler = (uintptr_t)fn, .restore = load_rlx(&g->sig.mask), .sig = 0 };
	uint32_t probe;
	uintptr_t fp;
	size_t need = sizeof(struct kframe) + arch_fpsize() + ROOM_TO_PARK + 64;
	bool own = c->sp > g->stack_lo && c->sp <= g->stack_hi;
	if (!own && g->sig.alt_size >= need)
		d.sa.flags = SA_ONSTACK;
	size_t fpn = c->fpstate ? fp_size(c) : xsize + 4;
	uintptr_t sp = frame_address(c, g, d.sa.flags, fpn, &fp);
	if (!sp || arch_user_load32((const void *)(sp - ROOM_TO_PARK), &probe))
		return false;
	return arch_sig_push(c, g, &d);
}

/* What the shim's parking may have lost of a site's state comes from the entry stub's copy. */
void arch_sig_site(struct kuc *c, const struct regs *r, long ret, const void *xstate, void *fp)
{
	if (xstate)
		__asm__ volatile("xrstor64 (%0)" : : "r"(xstate), "a"(XSAVE_ENTRY), "d"(0) : "memory");
	uintptr_t ip = sig_cfg.next_ip(r->ret);
	*c = (struct kuc){
		.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (xfeatures ? UC_FP_XSTATE : 0),
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = EFLAGS_SITE,
		.r12 = r->r12, .r13 = r->r13, .r14 = r->r14, .r15 = r->r15,
		.di = r->rdi, .si = r->rsi, .bp = r->rbp, .bx = r->rbx, .dx = r->rdx,
		.ax = (uint64_t)ret, .cx = ip, .sp = regs_sp(r), .ip = ip,
		.eflags = EFLAGS_SITE, .cs = USER_CS, .ss = USER_SS,
		.fpstate = (uintptr_t)fp,
	};
	save_fp(fp);
}

void arch_sig_leaving(struct kuc *c, const struct regs *r)
{
	uintptr_t ip = sig_cfg.next_ip(r->ret);
	c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = EFLAGS_SITE;
	c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14, c->r15 = r->r15;
	c->di = r->rdi, c->si = r->rsi, c->bp = r->rbp, c->bx = r->rbx, c->dx = r->rdx;
	c->cx = c->ip = ip;
	c->sp = regs_sp(r);
}

void arch_sig_site_restart(struct kuc *c, const struct regs *r)
{
	c->ip = sig_cfg.restart_ip(r->ret);
	c->ax = r->rax;
}
