/* unwind_cfi.c - finds the unwind information of an address and works out the rules that hold there.
 *
 * .eh_frame_hdr has a sorted table of functions; the entry leads to the function's FDE, and that to its CIE. The instructions
 * of both build, row by row, a table of addresses and rules; the row that covers the address is the result. Only the
 * table's usual form (32-bit offsets from its own address) is read: GNU ld, gold, lld and mold write no other one.
 */
#include "unwind.h"

#define ENC_UDATA4 0x03
#define ENC_SDATA4 0x0b
#define ENC_TABLE 0x3b /* relative to the table, sdata4 */
#define REMEMBERED 4
#define MAX_ENTRY (1u << 20) /* no FDE is larger */

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;
	uint8_t enc;
	bool sized; /* FDE's have a length of augmentation data */
	bool signal_frame;
	uintptr_t code, end;
};

struct program {
	struct unwind_row *row;
	struct unwind_row initial, saved[REMEMBERED];
	unsigned nsaved;
	const struct cie *cie;
	uintptr_t loc, target;
	bool done, bad;
};

static bool read32(const struct unwind_space *s, uintptr_t at, uint32_t *v)
{
	return !s->read(s->ctx, v, at, sizeof(*v));
}

/* --- from the address to the FDE --- */

static uintptr_t find_fde(const struct unwind_space *s, const struct unwind_object *o, uintptr_t pc)
{
	struct {
		uint8_t version, frame_enc, count_enc, table_enc;
		uint32_t frame, count;
	} h;
	struct {
		int32_t start, fde;
	} e;
	uintptr_t table = o->info + sizeof(h);
	if (!o->info || o->size < sizeof(h) || s->read(s->ctx, &h, o->info, sizeof(h)))
		return 0;
	if (h.version != 1 || ((h.frame_enc & 0xf) != ENC_UDATA4 && (h.frame_enc & 0xf) != ENC_SDATA4) ||
	    h.count_enc != ENC_UDATA4 || h.table_enc != ENC_TABLE || h.count > (o->size - sizeof(h)) / sizeof(e))
		return 0;
	uint32_t lo = 0, hi = h.count;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (s->read(s->ctx, &e, table + mid * sizeof(e), sizeof(e)))
			return 0;
		if (o->info + (uintptr_t)(intptr_t)e.start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || s->read(s->ctx, &e, table + (lo - 1) * sizeof(e), sizeof(e)))
		return 0;
	return o->info + (uintptr_t)(intptr_t)e.fde;
}

static void augmentation(struct unwind_cursor *c, const char *aug, struct cie *cie)
{
	for (; *aug && !c->bad; aug++) {
		switch (*aug) {
		case 'R':
			cie->enc = (uint8_t)cursor_uint(c, 1);
			break;
		case 'L':
			cursor_uint(c, 1);
			break;
		case 'P': {
			uint8_t enc = (uint8_t)cursor_uint(c, 1);
			cursor_encoded(c, enc & 0x0f); /* its size matters, not its value */
			break;
		}
		case 'S':
			cie->signal_frame = true;
			break;
		case 'B':
			break;
		default:
			return; /* unknown: the rest is skipped by its length */
		}
	}
}

static bool read_cie(const struct unwind_space *s, uintptr_t at, struct cie *cie)
{
	struct unwind_cursor c;
	uint32_t len;
	char aug[9];
	unsigned n = 0;
	if (!read32(s, at, &len) || len < 8 || len > MAX_ENTRY)
		return false;
	cursor_init(&c, s, at + 4, at + 4 + len);
	uint32_t id = (uint32_t)cursor_uint(&c, 4);
	uint8_t version = (uint8_t)cursor_uint(&c, 1);
	if (id != 0 || (version != 1 && version != 3 && version != 4))
		return false;
	do
		aug[n] = (char)cursor_uint(&c, 1);
	while (aug[n] && ++n < sizeof(aug));
	if (n == sizeof(aug) || (aug[0] && aug[0] != 'z'))
		return false;
	if (version == 4)
		cursor_skip(&c, 2); /* sizes of an address and of a segment */
	*cie = (struct cie){ .sized = aug[0] == 'z' };
	cie->code_align = cursor_uleb(&c);
	cie->data_align = cursor_sleb(&c);
	cie->ra = version == 1 ? cursor_uint(&c, 1) : cursor_uleb(&c);
	if (cie->sized) {
		uint64_t size = cursor_uleb(&c);
		uintptr_t from = c.at;
		augmentation(&c, aug + 1, cie);
		if (size > c.end - from)
			return false;
		c.at = from + size;
	}
	cie->code = c.at;
	cie->end = c.end;
	return !c.bad && cie->ra == UNWIND_PC;
}

/* --- the instructions --- */

/* NULL: a vector register or the like. */
static struct unwind_cell *cell(struct program *p, uint64_t reg)
{
	return reg < UNWIND_REGS ? &p->row->reg[reg] : NULL;
}

static void set(struct program *p, uint64_t reg, uint8_t how, int64_t v)
{
	struct unwind_cell *x = cell(p, reg);
	if (x)
		*x = (struct unwind_cell){ .how = how, .v = v };
}

static void set_expr(struct program *p, struct unwind_cursor *c, struct unwind_cell *x, uint8_t how)
{
	uint64_t len = cursor_uleb(c);
	if (x)
		*x = (struct unwind_cell){ .how = how, .len = (uint32_t)len, .v = (int64_t)c->at };
	cursor_skip(c, len);
	p->bad |= len > MAX_ENTRY;
}

static void restore(struct program *p, uint64_t reg)
{
	if (reg < UNWIND_REGS)
		p->row->reg[reg] = p->initial.reg[reg];
}

static void advance(struct program *p, uint64_t delta)
{
	uintptr_t to = p->loc + delta * p->cie->code_align;
	if (to > p->target)
		p->done = true;
	else
		p->loc = to;
}

static void def_cfa(struct program *p, uint64_t reg, int64_t off)
{
	if (reg >= UNWIND_REGS)
		p->bad = true;
	p->row->cfa = (struct unwind_cell){ .how = RuleRegister, .len = (uint32_t)reg, .v = off };
}

static void remember(struct program *p, bool back)
{
	if (back ? p->nsaved == 0 : p->nsaved == REMEMBERED)
		p->bad = true;
	else if (back)
		*p->row = p->saved[--p->nsaved];
	else
		p->saved[p->nsaved++] = *p->row;
}

enum {
	CfaNop, CfaSetLoc, CfaAdvance1, CfaAdvance2, CfaAdvance4, CfaOffsetExt, CfaRestoreExt, CfaUndefined, CfaSame,
	CfaRegister, CfaRemember, CfaRestoreState, CfaDef, CfaDefReg, CfaDefOffset, CfaDefExpr, CfaExpr, CfaOffsetSf, CfaDefSf,
	CfaDefOffsetSf, CfaValOffset, CfaValOffsetSf, CfaValExpr, CfaGnuArgs = 0x2e, CfaGnuNegative = 0x2f
};

static void cfa_instruction(struct program *p, struct unwind_cursor *c, uint8_t op)
{
	uint64_t r;
	int64_t da = p->cie->data_align;
	switch (op) {
	case CfaDef:
		r = cursor_uleb(c);
		def_cfa(p, r, (int64_t)cursor_uleb(c));
		break;
	case CfaDefSf:
		r = cursor_uleb(c);
		def_cfa(p, r, cursor_sleb(c) * da);
		break;
	case CfaDefReg:
		def_cfa(p, cursor_uleb(c), p->row->cfa.v);
		break;
	case CfaDefOffset:
		def_cfa(p, p->row->cfa.len, (int64_t)cursor_uleb(c));
		break;
	case CfaDefOffsetSf:
		def_cfa(p, p->row->cfa.len, cursor_sleb(c) * da);
		break;
	case CfaDefExpr:
		set_expr(p, c, &p->row->cfa, RuleExpr);
		break;
	default:
		p->bad = true;
	}
}

static void register_instruction(struct program *p, struct unwind_cursor *c, uint8_t op)
{
	uint64_t r = cursor_uleb(c);
	int64_t da = p->cie->data_align;
	switch (op) {
	case CfaOffsetExt:
		set(p, r, RuleOffset, (int64_t)cursor_uleb(c) * da);
		break;
	case CfaOffsetSf:
		set(p, r, RuleOffset, cursor_sleb(c) * da);
		break;
	case CfaGnuNegative:
		set(p, r, RuleOffset, -((int64_t)cursor_uleb(c) * da));
		break;
	case CfaValOffset:
		set(p, r, RuleValOffset, (int64_t)cursor_uleb(c) * da);
		break;
	case CfaValOffsetSf:
		set(p, r, RuleValOffset, cursor_sleb(c) * da);
		break;
	case CfaRestoreExt:
		restore(p, r);
		break;
	case CfaUndefined:
		set(p, r, RuleUndefined, 0);
		break;
	case CfaSame:
		set(p, r, RuleSame, 0);
		break;
	case CfaRegister:
		set(p, r, RuleRegister, (int64_t)cursor_uleb(c));
		break;
	case CfaExpr:
		set_expr(p, c, cell(p, r), RuleExpr);
		break;
	case CfaValExpr:
		set_expr(p, c, cell(p, r), RuleValExpr);
		break;
	default:
		p->bad = true;
	}
}

static void instruction(struct program *p, struct unwind_cursor *c)
{
	uint8_t op = (uint8_t)cursor_uint(c, 1), low = op & 0x3f;
	switch (op >> 6) {
	case 1:
		advance(p, low);
		return;
	case 2:
		set(p, low, RuleOffset, (int64_t)cursor_uleb(c) * p->cie->data_align);
		return;
	case 3:
		restore(p, low);
		return;
	}
	switch (op) {
	case CfaNop:
		break;
	case CfaSetLoc: {
		uintptr_t to = cursor_encoded(c, p->cie->enc);
		if (to > p->target)
			p->done = true;
		else
			p->loc = to;
		break;
	}
	case CfaAdvance1:
	case CfaAdvance2:
	case CfaAdvance4:
		advance(p, cursor_uint(c, 1u << (op - CfaAdvance1)));
		break;
	case CfaRemember:
	case CfaRestoreState:
		remember(p, op == CfaRestoreState);
		break;
	case CfaGnuArgs:
		cursor_uleb(c);
		break;
	case CfaDef:
	case CfaDefSf:
	case CfaDefReg:
	case CfaDefOffset:
	case CfaDefOffsetSf:
	case CfaDefExpr:
		cfa_instruction(p, c, op);
		break;
	default:
		register_instruction(p, c, op);
	}
}

static bool run(struct program *p, const struct unwind_space *s, uintptr_t from, uintptr_t to)
{
	struct unwind_cursor c;
	cursor_init(&c, s, from, to);
	while (c.at < c.end && !p->done && !p->bad && !c.bad)
		instruction(p, &c);
	return !p->bad && !c.bad;
}

enum unwind_end unwind_row(const struct unwind_space *s, const struct unwind_object *o, uintptr_t pc, struct unwind_row *row)
{
	uintptr_t fde = find_fde(s, o, pc);
	uint32_t head[2];
	struct cie cie;
	struct unwind_cursor c;
	struct program p;
	if (!fde)
		return UnwindNoInfo;
	if (s->read(s->ctx, head, fde, sizeof(head)) || head[0] < 8 || head[0] > MAX_ENTRY || head[1] == 0 ||
	    !read_cie(s, fde + 4 - head[1], &cie))
		return UnwindBadInfo;
	cursor_init(&c, s, fde + 8, fde + 4 + head[0]);
	uintptr_t begin = cursor_encoded(&c, cie.enc);
	uintptr_t size = cursor_encoded(&c, cie.enc & 0x0f);
	if (c.bad || pc < begin || pc - begin >= size)
		return UnwindNoInfo;
	if (cie.sized)
		cursor_skip(&c, cursor_uleb(&c));
	if (c.bad)
		return UnwindBadInfo;
	for (int i = 0; i < UNWIND_REGS; i++)
		row->reg[i] = (struct unwind_cell){ .how = RuleSame };
	row->cfa = (struct unwind_cell){ .how = RuleUndefined };
	row->signal_frame = cie.signal_frame;
	p.row = row;
	p.nsaved = 0;
	p.cie = &cie;
	p.loc = begin;
	p.target = pc;
	p.done = p.bad = false;
	p.initial = *row;
	if (!run(&p, s, cie.code, cie.end))
		return UnwindBadInfo;
	p.initial = *row;
	p.done = false;
	if (!run(&p, s, c.at, c.end))
		return UnwindBadInfo;
	return row->cfa.how == RuleUndefined ? UnwindBadInfo : UnwindGoesOn;
}
