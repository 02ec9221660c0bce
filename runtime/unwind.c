/* unwind.c - one step up a stack.
 *
 * The rules of the current address say where the caller's stack pointer (the CFA), its registers and the return address
 * are. For the common kind of frame (CFA a register plus a constant, registers at constant distances from it) they are kept in
 * the cache, and a step is a few loads. All else (signal frames, the PLT) is worked out each time.
 *
 * Code without unwind information (a JIT's, hand-written assembly) is passed if it keeps a frame pointer, or if it is the
 * innermost frame, or one at a system call (glibc's clone3 has no information there), and the word on top of the stack is a
 * return address. Both are guesses, so they must look right: the
 * address must lie in code.
 *
 * Rejected: libunwind, see ARCHITECTURE.md.
 */
#include "unwind.h"

#define NEAR (1ULL << 30)      /* code of a JIT lies in one region */
#define FRAME_MAX (8ULL << 20) /* between the stack pointer and a frame pointer */

static bool load(const struct unwind *u, uint64_t at, uint64_t *v)
{
	return !u->space->read(u->space->ctx, v, at, sizeof(*v));
}

static bool stop(struct unwind *u, enum unwind_end why)
{
	u->end = (uint8_t)why;
	return false;
}

bool unwind_find_in(const struct unwind_object *v, uint32_t n, uintptr_t pc, struct unwind_object *o)
{
	uint32_t lo = 0, hi = n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (v[mid].lo <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || pc >= v[lo - 1].hi)
		return false;
	*o = v[lo - 1];
	return true;
}

/* --- trampolines --- */

static bool site_at(const struct unwind *u, const struct unwind_object *o, uint32_t i, struct unwind_site *t)
{
	return i < o->size && !u->space->read(u->space->ctx, t, o->info + (uintptr_t)i * o->stride, sizeof(*t));
}

/* The first site whose `ret` is not below; of those with the same one, the first has the trampoline. */
static uint32_t site_from(const struct unwind *u, const struct unwind_object *o, uintptr_t ret)
{
	uint32_t lo = 0, hi = o->size;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct unwind_site t;
		if (!site_at(u, o, mid, &t))
			return o->size;
		if (t.ret < ret)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void leave_trampoline(struct unwind *u, const struct unwind_object *o)
{
	uintptr_t pc = u->reg[UNWIND_PC];
	uint32_t i = site_from(u, o, pc);
	struct unwind_site t;
	bool found = site_at(u, o, i, &t) && t.tramp && t.tramp <= pc;
	if (!found && i > 0 && site_at(u, o, i - 1, &t))
		found = site_at(u, o, site_from(u, o, t.ret), &t) && t.tramp && t.tramp <= pc;
	if (found)
		u->at_site = unwind_out_of_tramp(&t, &u->reg[UNWIND_PC], &u->reg[UNWIND_SP], &u->exact);
}

/* Makes the frame presentable, and looks up its rule. What is in the cache is no trampoline. */
static void settle(struct unwind *u)
{
	struct unwind_object o;
	if (unwind_cache_get(u->space, unwind_pc(u), &u->rule))
		return;
	if (u->space->find(u->space->ctx, u->reg[UNWIND_PC], &o) && o.kind == UnwindTramp) {
		leave_trampoline(u, &o);
		if (unwind_cache_get(u->space, unwind_pc(u), &u->rule))
			return;
	}
	u->rule.kind = SimpleUnknown;
}

void unwind_start(struct unwind *u, struct unwind_space *s, const uint64_t reg[UNWIND_REGS], bool exact)
{
	u->space = s;
	for (int i = 0; i < UNWIND_REGS; i++)
		u->reg[i] = reg[i];
	u->exact = exact;
	u->signal_frame = u->at_site = false;
	u->end = UnwindGoesOn;
	u->frames = 0;
	settle(u);
}

/* --- rules applied --- */

static bool arrive(struct unwind *u, uint64_t pc, bool signal_frame, uint64_t old_sp, uint64_t old_pc)
{
	u->signal_frame = signal_frame;
	u->exact = signal_frame;
	u->at_site = false;
	u->frames++;
	if (pc == 0)
		return stop(u, UnwindOutermost);
	if (pc == old_pc && u->reg[UNWIND_SP] == old_sp)
		return stop(u, UnwindStuck);
	u->reg[UNWIND_PC] = pc;
	return true;
}

static bool apply_rule(struct unwind *u, const struct unwind_rule *r)
{
	uint64_t cfa = u->reg[r->cfa_reg] + (uint64_t)(int64_t)r->cfa_off, pc;
	uint64_t sp = u->reg[UNWIND_SP], old = u->reg[UNWIND_PC];
	if (!load(u, cfa - 8, &pc))
		return stop(u, UnwindNoMemory);
	for (int i = 0; i < UNWIND_SAVED; i++)
		if (r->saved[i] && !load(u, cfa + (uint64_t)((int64_t)r->saved[i] * 8), &u->reg[unwind_saved[i]]))
			return stop(u, UnwindNoMemory);
	u->reg[UNWIND_SP] = cfa;
	return arrive(u, pc, false, sp, old);
}

static bool value(const struct unwind *u, const struct unwind_cell *x, uint64_t cfa, uint64_t *v)
{
	switch (x->how) {
	case RuleOffset:
		return load(u, cfa + (uint64_t)x->v, v);
	case RuleValOffset:
		*v = cfa + (uint64_t)x->v;
		return true;
	case RuleRegister:
		if (x->v < 0 || x->v >= UNWIND_REGS)
			return false;
		*v = u->reg[x->v];
		return true;
	case RuleExpr:
	case RuleValExpr:
		if (!unwind_expr(u->space, (uintptr_t)x->v, x->len, u->reg, &cfa, v))
			return false;
		return x->how == RuleValExpr || load(u, *v, v);
	default:
		return true; /* the same */
	}
}

static bool apply_row(struct unwind *u, const struct unwind_row *row)
{
	uint64_t cfa, reg[UNWIND_REGS], sp = u->reg[UNWIND_SP], old = u->reg[UNWIND_PC];
	if (row->reg[UNWIND_PC].how == RuleUndefined)
		return stop(u, UnwindOutermost);
	if (row->cfa.how == RuleRegister)
		cfa = u->reg[row->cfa.len] + (uint64_t)row->cfa.v;
	else if (!unwind_expr(u->space, (uintptr_t)row->cfa.v, row->cfa.len, u->reg, NULL, &cfa))
		return stop(u, UnwindNoMemory);
	for (int i = 0; i < UNWIND_REGS; i++) {
		reg[i] = u->reg[i];
		if (!value(u, &row->reg[i], cfa, &reg[i]))
			return stop(u, UnwindNoMemory);
	}
	if (row->reg[UNWIND_SP].how == RuleSame)
		reg[UNWIND_SP] = cfa;
	uint64_t pc = reg[UNWIND_PC];
	reg[UNWIND_PC] = old;
	for (int i = 0; i < UNWIND_REGS; i++)
		u->reg[i] = reg[i];
	return arrive(u, pc, row->signal_frame, sp, old);
}

/* Of the common kind? */
static bool simplify(const struct unwind_row *row, struct unwind_rule *r)
{
	*r = (struct unwind_rule){ .kind = SimpleRules };
	if (row->reg[UNWIND_PC].how == RuleUndefined) {
		r->kind = SimpleOutermost;
		return true;
	}
	if (row->signal_frame || row->cfa.how != RuleRegister || row->cfa.v != (int32_t)row->cfa.v ||
	    row->reg[UNWIND_PC].how != RuleOffset || row->reg[UNWIND_PC].v != -8)
		return false;
	r->cfa_reg = (uint8_t)row->cfa.len;
	r->cfa_off = (int32_t)row->cfa.v;
	int packed = 1;
	for (int i = 0; i < UNWIND_SAVED; i++) {
		const struct unwind_cell *x = &row->reg[unwind_saved[i]];
		if (x->how == RuleSame)
			continue;
		if (x->how != RuleOffset || x->v % 8 || x->v == 0 || x->v / 8 != (int16_t)(x->v / 8))
			return false;
		r->saved[i] = (int16_t)(x->v / 8);
		packed++;
	}
	for (int i = 0; i < UNWIND_REGS; i++)
		packed -= row->reg[i].how != RuleSame;
	return packed == 0;
}

/* --- code without unwind information --- */

static bool in_code(const struct unwind *u, uint64_t pc)
{
	struct unwind_object o;
	return u->space->find(u->space->ctx, pc, &o);
}

static bool guess_by_sp(struct unwind *u)
{
	uint64_t pc, sp = u->reg[UNWIND_SP];
	if ((!u->exact && !u->at_site) || sp % 8 || !load(u, sp, &pc) || !in_code(u, pc - 1))
		return false;
	u->reg[UNWIND_SP] = sp + 8;
	return arrive(u, pc, false, sp, u->reg[UNWIND_PC]);
}

static bool guess_by_fp(struct unwind *u)
{
	uint64_t sp = u->reg[UNWIND_SP], fp = u->reg[UNWIND_FP], pc, up;
	if (fp % 8 || fp < sp || fp - sp > FRAME_MAX || !load(u, fp, &up) || !load(u, fp + 8, &pc))
		return false;
	if (!in_code(u, pc - 1)) {
		uint64_t d = pc - u->reg[UNWIND_PC], word;
		if ((d >= NEAR && 0 - d >= NEAR) || up <= fp || !load(u, pc, &word))
			return false;
	}
	u->reg[UNWIND_FP] = up;
	u->reg[UNWIND_SP] = fp + 16;
	return arrive(u, pc, false, sp, u->reg[UNWIND_PC]);
}

static bool guess(struct unwind *u, bool known)
{
	if (known ? guess_by_sp(u) || guess_by_fp(u) : guess_by_fp(u) || guess_by_sp(u))
		return true;
	return stop(u, UnwindNoInfo);
}

/* --- */

static bool step_slowly(struct unwind *u, uintptr_t pc)
{
	struct unwind_object o;
	struct unwind_row row;
	struct unwind_rule r;
	uint32_t generation = load_acq(&u->space->generation); /* before the look at what it counts */
	if (!u->space->find(u->space->ctx, pc, &o))
		return guess(u, false);
	enum unwind_end why = unwind_row(u->space, &o, pc, &row);
	if (why == UnwindNoInfo) {
		r = (struct unwind_rule){ .kind = SimpleNoInfo };
		unwind_cache_put(u->space, pc, generation, &r);
		return guess(u, true);
	}
	if (why != UnwindGoesOn)
		return stop(u, why);
	if (simplify(&row, &r))
		unwind_cache_put(u->space, pc, generation, &r);
	return apply_row(u, &row);
}

static bool step_once(struct unwind *u)
{
	switch (u->rule.kind) {
	case SimpleRules:
		return apply_rule(u, &u->rule);
	case SimpleOutermost:
		return stop(u, UnwindOutermost);
	case SimpleNoInfo:
		return guess(u, true);
	default:
		return step_slowly(u, unwind_pc(u));
	}
}

bool unwind_step(struct unwind *u)
{
	if (u->end != UnwindGoesOn || !step_once(u))
		return false;
	settle(u);
	return true;
}

uint32_t unwind_trace(struct unwind *u, uintptr_t *pc, uint32_t n)
{
	uint32_t k = 0;
	while (k < n) {
		pc[k++] = unwind_pc(u);
		if (!unwind_step(u))
			break;
	}
	return k;
}
