/* site.c - decides whether and how one `syscall` instruction can be replaced.
 *
 * The function is decoded from its start up to the site: that makes instruction boundaries certain. Then every choice
 * of how many instructions before the syscall to displace is tried, 0 to PRE_MAX; instructions after it are added
 * only if 5 bytes are not reached otherwise. The 5 bytes of the jump damage what begins inside them, so no branch may lead there.
 * What was displaced but lies behind the jump stays intact: a branch there is correct but enters the kernel, which
 * makes such a choice a bad one. The choice with the fewest risks wins:
 *
 *     mov $nr,%eax; syscall                   jump over the mov: nothing is damaged, the syscall stays
 *     mov $nr,%eax; xor $129,%sil; syscall    the same; the xor is displaced too
 *     mov %r8d,%eax; syscall                  exactly 5 bytes; the syscall is damaged
 *     xor %eax,%eax; syscall; cmp $-4095,%rax the cmp is displaced too, unless something before can be
 *
 * Direct branches are looked for at every byte alignment (scan.c); a hit with an 8-bit displacement counts if decoding
 * its function says that an instruction begins there. Targets of jump tables cannot be seen: in a function with an indirect
 * jump only the syscall itself may be damaged, and what was before it in straight-line code.
 */
#include "site.h"

#include <limits.h>
#include <string.h>

#include "../../boundary.h"
#include "../../decode.h"
#include "../../rewrite.h"
#include "scan.h"

#define SYSCALL_SIZE 2
#define NR_SIGRETURN 15

struct straight {
	struct insn pre[PRE_MAX]; /* pre[0] is the one just before the syscall */
	unsigned npre;		  /* that may be displaced */
	struct bounds fn;
};

struct choice {
	uintptr_t span, post_end;
	int risk;
	bool behind; /* a branch comes in behind the jump */
};

static bool starts_with(uintptr_t p, const char *bytes, size_t n)
{
	return memcmp((const void *)p, bytes, n) == 0;
}

bool site_is_candidate(uintptr_t text_lo, uintptr_t addr, bool (*served)(unsigned nr), int *nr)
{
	const uint8_t *p = (const uint8_t *)addr;

	*nr = -1;
	if (addr - text_lo < 7)
		return true;
	if (p[-5] == 0xb8)
		memcpy(nr, p - 4, 4);
	else if (starts_with(addr - 7, "\x48\xc7\xc0", 3))
		memcpy(nr, p - 4, 4);
	else
		return true;
	return *nr != NR_SIGRETURN && *nr >= 0 && served((unsigned)*nr);
}

/* Room for all of them, or else everything counts as a target. */
static bool far_branch_to(struct scope *s, uintptr_t target)
{
	size_t lo = 0, hi;

	if (!s->far_known) {
		s->nfar = scan_far_branches(s->text->lo, s->text->hi, s->sites, s->nsites, s->far, s->cap);
		s->far_known = true;
	}
	if (s->nfar > s->cap)
		return true;
	hi = s->nfar;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->far[mid] < target)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nfar && s->far[lo] == target;
}

static bool branch_to(struct scope *s, uintptr_t target)
{
	uintptr_t at = 0;

	if (far_branch_to(s, target))
		return true;
	while (scan_near_branch(s->text->lo, s->text->hi, target, &at))
		if (boundary_is(s->o, at))
			return true;
	return false;
}

/* A jump through a register or through memory, other than through the GOT (a tail call). */
static bool has_indirect_jump(struct scope *s, const struct bounds *fn)
{
	for (uintptr_t p = fn->lo; p + 1 < fn->hi; p++) {
		const uint8_t *c = (const uint8_t *)p;
		struct insn i;

		if (c[0] != 0xff || (c[1] >> 3 & 7) != 4 || c[1] == 0x25)
			continue;
		for (unsigned prefix = 0; prefix <= 2 && p - prefix >= fn->lo; prefix++)
			if (boundary_is(s->o, p - prefix) && decode_insn(p - prefix, fn->hi, &i) &&
			    i.kind == INSN_INDIRECT && i.addr + i.len > p)
				return true;
	}
	return false;
}

/* Follows the value of eax back through straight-line code. */
static int trace_number(struct scope *s, uintptr_t addr, const uintptr_t *last, unsigned n)
{
	unsigned reg = DECODE_RAX;
	uintptr_t after = addr;

	for (unsigned k = 0; k < n; k++) {
		uint64_t value = 0;
		enum effect e;

		if (k && branch_to(s, after))
			return -1;
		e = decode_effect(last[k], addr, reg, &value);
		if (e == EFFECT_CONST)
			return value <= INT_MAX ? (int)value : -1;
		if (e == EFFECT_OTHER)
			return -1;
		if (e == EFFECT_COPY)
			reg = (unsigned)value;
		after = last[k];
	}
	return -1;
}

static void find_straight(const uintptr_t *last, unsigned n, uintptr_t addr, uintptr_t floor, struct straight *st)
{
	for (st->npre = 0; st->npre < n; st->npre++) {
		struct insn *i = &st->pre[st->npre];

		if (last[st->npre] < floor || addr - last[st->npre] > PRE_BYTES_MAX)
			break;
		if (!decode_insn(last[st->npre], addr, i) || i->kind != INSN_PLAIN)
			break;
	}
}

/* The instructions after the syscall, until `need` is covered. Returns the end or 0. */
static uintptr_t cover_after(uintptr_t from, uintptr_t need, uintptr_t limit)
{
	uintptr_t p = from;

	while (p < need) {
		struct insn i;

		if (!decode_insn(p, limit, &i) || i.kind == INSN_FIXED || i.kind == INSN_CALL)
			return 0;
		p += i.len;
		if (i.kind != INSN_PLAIN)
			return p >= need ? p : 0;
	}
	return p - from <= POST_BYTES_MAX ? p : 0;
}

enum verdict { TAKE, BLOCKED, HIDDEN };

static enum verdict weigh_boundary(struct scope *s, uintptr_t at, uintptr_t damage_end, int *indirect, const struct straight *st,
				   uintptr_t addr, struct choice *c)
{
	bool damaged = at < damage_end;

	if (branch_to(s, at)) {
		if (damaged)
			return BLOCKED;
		c->behind = true;
		c->risk += 16;
	}
	if (!damaged)
		return TAKE;
	if (*indirect < 0)
		*indirect = has_indirect_jump(s, &st->fn);
	if (*indirect && at > addr)
		return HIDDEN;
	c->risk += *indirect ? 8 : 4;
	return TAKE;
}

/* Displaces k instructions before the syscall. */
static enum verdict weigh(struct scope *s, uintptr_t addr, unsigned k, int *indirect, const struct straight *st, struct choice *c)
{
	uintptr_t next = addr + SYSCALL_SIZE, damage_end;
	enum verdict v = TAKE;

	c->span = k ? st->pre[k - 1].addr : addr;
	c->post_end = next;
	c->risk = (int)k;
	c->behind = false;
	damage_end = c->span + JUMP_SIZE;
	for (unsigned i = 1; i < k && v == TAKE; i++)
		v = weigh_boundary(s, st->pre[i - 1].addr, damage_end, indirect, st, addr, c);
	if (k && v == TAKE)
		v = weigh_boundary(s, addr, damage_end, indirect, st, addr, c);
	if (v != TAKE || damage_end <= next)
		return v;
	c->risk += 2;
	c->post_end = cover_after(next, damage_end, st->fn.hi);
	if (!c->post_end)
		return BLOCKED;
	for (uintptr_t p = next; p < damage_end && v == TAKE; p += decode_length(p, c->post_end))
		v = weigh_boundary(s, p, damage_end, indirect, st, addr, c);
	return v;
}

static void choose(struct scope *s, const struct straight *st, struct plan *p)
{
	struct choice best = {.risk = INT_MAX}, c;
	int indirect = -1;

	p->state = SITE_REFUSED;
	p->reason = REASON_NO_SPAN;
	for (unsigned n = 0; n <= st->npre; n++) {
		unsigned k = n == st->npre ? 0 : n + 1; /* none last: rarely the best */
		enum verdict v;

		if ((int)k >= best.risk)
			continue;
		v = weigh(s, p->addr, k, &indirect, st, &c);
		if (v == TAKE && c.risk < best.risk)
			best = c;
		else if (v == HIDDEN)
			p->reason = REASON_INDIRECT;
		else if (v == BLOCKED && c.post_end)
			p->reason = REASON_BRANCH_INTO_SPAN;
	}
	if (best.risk == INT_MAX)
		return;
	p->span = best.span;
	p->post_end = best.post_end;
	p->state = SITE_REWRITTEN;
	p->reason = best.behind ? REASON_BRANCH_TO_SITE : REASON_NONE;
}

/* The form that most sites have, without looking any further: mov $nr,%eax; syscall. */
static bool plan_plain(struct scope *s, uintptr_t addr, const uintptr_t *last, unsigned n, uintptr_t floor, struct plan *p)
{
	int nr;

	if (!n || addr - last[0] != JUMP_SIZE || *(const uint8_t *)last[0] != 0xb8 || last[0] < floor || branch_to(s, addr))
		return false;
	memcpy(&nr, (const void *)(last[0] + 1), sizeof nr);
	if (nr < 0 || nr == NR_SIGRETURN || !s->served((unsigned)nr))
		return false;
	p->nr = nr;
	p->span = last[0];
	p->state = SITE_REWRITTEN;
	p->reason = REASON_NONE;
	return true;
}

/* Outside of all functions there may be data, in which the two bytes are nothing: is a number loaded before? */
static bool looks_like_call(uintptr_t text_lo, uintptr_t addr)
{
	const uint8_t *p = (const uint8_t *)addr;

	if (addr - text_lo < 7)
		return false;
	if (p[-5] == 0xb8)
		return p[-2] == 0 && p[-1] == 0;
	if (starts_with(addr - 7, "\x48\xc7\xc0", 3))
		return p[-2] == 0 && p[-1] == 0;
	return starts_with(addr - 2, "\x31\xc0", 2) || (p[-2] == 0x89 && (p[-1] & 0xc7) == 0xc0);
}

bool site_plan(struct scope *s, uintptr_t addr, uintptr_t floor, struct plan *p)
{
	uintptr_t last[PRE_MAX];
	struct straight st;
	unsigned n;
	bool likely = !s->o->eh_frame_hdr || looks_like_call(s->text->lo, addr);

	*p = (struct plan){.addr = addr, .span = addr, .post_end = addr + SYSCALL_SIZE, .nr = -1, .state = SITE_REFUSED, .reason = REASON_NO_BOUNDS};
	if (!function_bounds(s->o, addr, likely, &st.fn))
		return likely;
	n = boundary_before(&st.fn, addr, last, PRE_MAX);
	if (n == UINT_MAX)
		return false;
	if (plan_plain(s, addr, last, n, floor, p))
		return true;
	p->nr = trace_number(s, addr, last, n);
	if (p->nr == NR_SIGRETURN || (p->nr >= 0 && !s->served((unsigned)p->nr))) {
		p->state = SITE_NOT_NEEDED;
		p->reason = p->nr == NR_SIGRETURN ? REASON_SIGRETURN : REASON_NONE;
		return true;
	}
	find_straight(last, n, addr, floor, &st);
	choose(s, &st, p);
	return true;
}
