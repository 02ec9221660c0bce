/* unwind_expr.c - evaluates a DWARF expression: where signal frames and entries of the PLT keep things.
 *
 * A machine with a small stack. What can occur in .eh_frame is understood: constants, registers, memory, arithmetic, branches.
 * The number of steps is bounded, because a branch may go back.
 */
#include "unwind.h"

#define DEPTH 16
#define STEPS 256

enum {
	OpAddr = 0x03, OpDeref = 0x06, OpConst1u = 0x08, OpConst1s, OpConst2u, OpConst2s, OpConst4u, OpConst4s, OpConst8u,
	OpConst8s, OpConstu, OpConsts, OpDup, OpDrop, OpOver, OpPick, OpSwap, OpRot, OpAbs = 0x19, OpAnd, OpDiv, OpMinus,
	OpMod, OpMul, OpNeg, OpNot, OpOr, OpPlus, OpPlusUconst, OpShl, OpShr, OpShra, OpXor, OpBra, OpEq, OpGe, OpGt, OpLe,
	OpLt, OpNe, OpSkip, OpLit0 = 0x30, OpLit31 = 0x4f, OpBreg0 = 0x70, OpBreg31 = 0x8f, OpBregx = 0x92,
	OpDerefSize = 0x94, OpNop = 0x96
};

struct machine {
	struct unwind_cursor c;
	const uint64_t *reg;
	uint64_t v[DEPTH];
	unsigned n;
};

static void push(struct machine *m, uint64_t x)
{
	if (m->n < DEPTH)
		m->v[m->n++] = x;
	else
		m->c.bad = true;
}

static uint64_t pop(struct machine *m)
{
	if (m->n > 0)
		return m->v[--m->n];
	m->c.bad = true;
	return 0;
}

static uint64_t nth(struct machine *m, unsigned i)
{
	if (i < m->n)
		return m->v[m->n - 1 - i];
	m->c.bad = true;
	return 0;
}

static void deref(struct machine *m, unsigned bytes)
{
	uint64_t x = 0, at = pop(m);
	if (bytes > 8 || m->c.bad || m->c.s->read(m->c.s->ctx, &x, at, bytes))
		m->c.bad = true;
	push(m, x);
}

static void breg(struct machine *m, uint64_t r)
{
	int64_t off = cursor_sleb(&m->c);
	if (r < UNWIND_REGS)
		push(m, m->reg[r] + (uint64_t)off);
	else
		m->c.bad = true;
}

static void jump(struct machine *m, int64_t by)
{
	uintptr_t start = m->c.at;
	m->c.at += (uintptr_t)by;
	if (m->c.at > m->c.end || (by < 0 && m->c.at > start))
		m->c.bad = true;
}

static bool constant(struct machine *m, uint8_t op)
{
	if (op >= OpLit0 && op <= OpLit31) {
		push(m, op - (uint64_t)OpLit0);
		return true;
	}
	if (op >= OpConst1u && op <= OpConst8s) {
		unsigned i = op - (unsigned)OpConst1u, bytes = 1u << i / 2;
		push(m, i & 1 ? (uint64_t)cursor_sint(&m->c, bytes) : cursor_uint(&m->c, bytes));
		return true;
	}
	switch (op) {
	case OpAddr:
		push(m, cursor_uint(&m->c, 8));
		return true;
	case OpConstu:
		push(m, cursor_uleb(&m->c));
		return true;
	case OpConsts:
		push(m, (uint64_t)cursor_sleb(&m->c));
		return true;
	default:
		return false;
	}
}

static bool stack_op(struct machine *m, uint8_t op)
{
	uint64_t a, b, c;
	switch (op) {
	case OpDup:
		push(m, nth(m, 0));
		return true;
	case OpDrop:
		pop(m);
		return true;
	case OpOver:
		push(m, nth(m, 1));
		return true;
	case OpPick:
		push(m, nth(m, (unsigned)cursor_uint(&m->c, 1)));
		return true;
	case OpSwap:
		a = pop(m), b = pop(m);
		push(m, a), push(m, b);
		return true;
	case OpRot:
		a = pop(m), b = pop(m), c = pop(m);
		push(m, a), push(m, c), push(m, b);
		return true;
	default:
		return false;
	}
}

static bool unary(struct machine *m, uint8_t op)
{
	switch (op) {
	case OpAbs: {
		int64_t x = (int64_t)pop(m);
		push(m, x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
		return true;
	}
	case OpNeg:
		push(m, 0 - pop(m));
		return true;
	case OpNot:
		push(m, ~pop(m));
		return true;
	case OpPlusUconst:
		push(m, pop(m) + cursor_uleb(&m->c));
		return true;
	default:
		return false;
	}
}

static bool binary(struct machine *m, uint8_t op)
{
	if (op < OpAnd || op > OpNe || op == OpBra)
		return false;
	uint64_t b = pop(m), a = pop(m);
	int64_t sa = (int64_t)a, sb = (int64_t)b;
	switch (op) {
	case OpAnd: push(m, a & b); break;
	case OpOr: push(m, a | b); break;
	case OpXor: push(m, a ^ b); break;
	case OpPlus: push(m, a + b); break;
	case OpMinus: push(m, a - b); break;
	case OpMul: push(m, a * b); break;
	case OpShl: push(m, b < 64 ? a << b : 0); break;
	case OpShr: push(m, b < 64 ? a >> b : 0); break;
	case OpShra: push(m, (uint64_t)(sa >> (b < 64 ? b : 63))); break;
	case OpEq: push(m, a == b); break;
	case OpNe: push(m, a != b); break;
	case OpGe: push(m, sa >= sb); break;
	case OpGt: push(m, sa > sb); break;
	case OpLe: push(m, sa <= sb); break;
	case OpLt: push(m, sa < sb); break;
	default: return false;
	}
	return true;
}

static bool step(struct machine *m)
{
	uint8_t op = (uint8_t)cursor_uint(&m->c, 1);
	if (op >= OpBreg0 && op <= OpBreg31) {
		breg(m, op - (uint64_t)OpBreg0);
		return true;
	}
	if (constant(m, op) || stack_op(m, op) || unary(m, op))
		return true;
	switch (op) {
	case OpNop:
		return true;
	case OpDeref:
		deref(m, 8);
		return true;
	case OpDerefSize:
		deref(m, (unsigned)cursor_uint(&m->c, 1));
		return true;
	case OpBregx:
		breg(m, cursor_uleb(&m->c));
		return true;
	case OpSkip:
		jump(m, cursor_sint(&m->c, 2));
		return true;
	case OpBra: {
		int64_t by = cursor_sint(&m->c, 2);
		if (pop(m))
			jump(m, by);
		return true;
	}
	default:
		return binary(m, op);
	}
}

bool unwind_expr(const struct unwind_space *s, uintptr_t at, uint32_t len, const uint64_t reg[UNWIND_REGS],
		 const uint64_t *first, uint64_t *result)
{
	struct machine m;
	cursor_init(&m.c, s, at, at + len);
	m.reg = reg;
	m.n = 0;
	if (first)
		push(&m, *first);
	for (int i = 0; m.c.at < m.c.end; i++)
		if (i == STEPS || m.c.bad || !step(&m))
			return false;
	*result = pop(&m);
	return !m.c.bad;
}
