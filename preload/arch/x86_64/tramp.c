/* tramp.c - writes the trampoline of one site.
 *
 * The displaced instructions from before the syscall come first, with the site's own stack pointer, so that operands
 * relative to RSP need no change; only then is RSP moved past the red zone. Copies have the length of the original
 * (a displacement relative to RIP is 4 bytes before and after), except a branch, which can only be the last one. So the copy
 * of an instruction is found by its distance from the start of the span, or from the end of the syscall.
 *
 * A call is made again from the lea on. If the number is constant and was not loaded by the last displaced
 * instruction, a few bytes behind the trampoline load it.
 */
#include "tramp.h"

#include <string.h>

#include "../../decode.h"

#define LEA_SIZE 5
#define CALL_SIZE 6
#define UNLEA_SIZE 8
#define MOV_SIZE 5
#define RED_ZONE 128

struct out {
	uint8_t *p;
	bool bad;
};

static void put(struct out *o, const void *bytes, size_t n)
{
	memcpy(o->p, bytes, n);
	o->p += n;
}

static void put_rel32(struct out *o, uintptr_t target)
{
	intptr_t d = (intptr_t)(target - ((uintptr_t)o->p + 4));
	int32_t d32 = (int32_t)d;

	o->bad |= d != d32;
	put(o, &d32, 4);
}

static void put_jmp(struct out *o, uintptr_t target)
{
	put(o, "\xe9", 1);
	put_rel32(o, target);
}

static void put_insn(struct out *o, const struct insn *i)
{
	uint8_t *copy = o->p;

	if (i->kind == INSN_JMP) {
		put_jmp(o, i->target);
		return;
	}
	if (i->kind == INSN_JCC) {
		put(o, "\x0f", 1);
		put(o, &(uint8_t){0x80 | i->cc}, 1);
		put_rel32(o, i->target);
		return;
	}
	put(o, (const void *)i->addr, i->len);
	if (i->rip_disp) {
		int32_t disp;
		intptr_t moved;

		memcpy(&disp, copy + i->rip_disp, 4);
		moved = disp + (intptr_t)(i->addr - (uintptr_t)copy);
		disp = (int32_t)moved;
		o->bad |= moved != disp;
		memcpy(copy + i->rip_disp, &disp, 4);
	}
}

/* Copies [from, to); true if execution does not go on behind it. */
static bool put_range(struct out *o, uintptr_t from, uintptr_t to)
{
	bool ends = false;

	for (uintptr_t p = from; p < to;) {
		struct insn i;

		if (!decode_insn(p, to, &i)) {
			o->bad = true;
			return ends;
		}
		put_insn(o, &i);
		ends = i.kind == INSN_JMP || i.kind == INSN_RET || i.kind == INSN_INDIRECT;
		p += i.len;
	}
	return ends;
}

/* Is the last displaced instruction `mov $nr,%eax`? */
static bool loads_last(const struct plan *p, const uint8_t *pre_end)
{
	struct insn i;

	for (uintptr_t a = p->span; a < p->addr; a += i.len) {
		if (!decode_insn(a, p->addr, &i))
			return false;
		if (a + i.len == p->addr)
			return i.len == MOV_SIZE && pre_end[-MOV_SIZE] == 0xb8;
	}
	return false;
}

size_t tramp_emit(uintptr_t at, uintptr_t slot, const struct plan *p, struct site *s)
{
	struct out o = {(uint8_t *)at, false};
	uintptr_t again;

	*s = (struct site){.addr = p->addr, .next = p->addr + 2, .span = p->span, .span_end = p->post_end, .tramp = at,
			   .nr = p->nr, .state = p->state, .reason = p->reason};
	put_range(&o, p->span, p->addr);
	again = (uintptr_t)o.p;
	put(&o, "\x48\x8d\x64\x24\x80", LEA_SIZE);
	put(&o, "\xff\x15", 2);
	put_rel32(&o, slot);
	s->ret = (uintptr_t)o.p;
	put(&o, "\x48\x8d\xa4\x24\x80\0\0\0", UNLEA_SIZE);
	if (!put_range(&o, s->next, p->post_end))
		put_jmp(&o, p->post_end);
	s->restart = again;
	if (p->nr >= 0 && loads_last(p, (const uint8_t *)again)) {
		s->restart = again - MOV_SIZE;
	} else if (p->nr >= 0) {
		s->restart = (uintptr_t)o.p;
		put(&o, "\xb8", 1);
		put(&o, &p->nr, 4);
		put_jmp(&o, again);
	}
	return o.bad ? 0 : (size_t)(o.p - (uint8_t *)at);
}

uintptr_t tramp_copy_of(const struct site *s, uintptr_t ip)
{
	bool before = ip < s->addr;
	uintptr_t from = before ? s->span : s->next, copy = before ? s->tramp : s->ret + UNLEA_SIZE;
	uintptr_t end = before ? s->addr : s->span_end;

	if (ip == s->addr)
		return s->ret - CALL_SIZE - LEA_SIZE;
	if (ip < from || ip >= end)
		return 0;
	/* The lengths are read off the copy: the original is overwritten. */
	for (uintptr_t want = copy + (ip - from); copy < want;) {
		unsigned len = decode_length(copy, s->tramp + TRAMP_MAX);

		if (!len || copy + len > want)
			return 0;
		copy += len;
	}
	return copy;
}

uintptr_t tramp_original(const struct site *s, uintptr_t ip, uintptr_t *sp)
{
	uintptr_t lea = s->ret - CALL_SIZE - LEA_SIZE, copy = s->ret + UNLEA_SIZE;

	if (ip < lea)
		return s->span + (ip - s->tramp);
	if (ip > lea && ip <= s->ret)
		*sp += RED_ZONE;
	if (ip <= lea || ip < s->ret || (s->restart > s->ret && ip >= s->restart))
		return s->addr;
	if (ip < copy)
		return s->next;
	return ip - copy < s->span_end - s->next ? s->next + (ip - copy) : s->span_end;
}

void jump_encode(uint8_t out[JUMP_SIZE], uintptr_t from, uintptr_t to)
{
	struct out o = {out, false};
	int32_t d = (int32_t)(to - (from + JUMP_SIZE));

	put(&o, "\xe9", 1);
	put(&o, &d, 4);
}
