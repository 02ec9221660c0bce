/* unwind.h - walks up a stack by the program's own unwind information (.eh_frame), in this process or in another one.
 *
 * All memory is read through a callback that may fail, no other function is called and nothing is allocated: it can be
 * used in a signal handler, at a park, on a stack that is broken, and by a tool on a process that it only reads. It never
 * faults and always ends.
 *
 *	struct unwind u;
 *	unwind_from_…(&u, space, …);
 *	do
 *		use(unwind_pc(&u));
 *	while (unwind_step(&u));
 */
#ifndef PRELOOM_UNWIND_H
#define PRELOOM_UNWIND_H

#include "unwind_arch.h"
#include "base.h"

/* A range of code and what describes it. The table of them (objtab.h) is also read from outside: words only. */
enum unwind_kind { UnwindElf, UnwindTramp };

struct unwind_object {
	uintptr_t lo, hi; /* the code */
	uintptr_t info;	  /* UnwindElf: .eh_frame_hdr, 0: none; UnwindTramp: the first struct unwind_site */
	uint32_t size;	  /* UnwindElf: its size in bytes; UnwindTramp: the number of sites */
	uint16_t kind;
	uint16_t stride;  /* UnwindTramp: from one site to the next */
};

/* What is known of a rewritten system call; sites without a trampoline have tramp 0 and the `ret` of the one before. Sorted
 * by ret. See preload/rewrite.h. */
struct unwind_site {
	uintptr_t addr, next;	  /* the syscall instruction, and the one behind it */
	uintptr_t span, span_end; /* what was moved into the trampoline */
	uintptr_t tramp, ret;	  /* the trampoline, and the return address of the call in it */
};

struct unwind_cache;

/* A process as the unwinder sees it. */
struct unwind_space {
	int (*read)(void *ctx, void *to, uintptr_t from, size_t n); /* 0, or something else if that cannot be read */
	bool (*find)(void *ctx, uintptr_t pc, struct unwind_object *o);
	void *ctx;
	struct unwind_cache *cache;    /* NULL: none */
	_Atomic uint32_t generation;   /* of the objects: what was cached under another one does not count */
};

/* Why there is no caller. */
enum unwind_end {
	UnwindGoesOn,
	UnwindOutermost, /* the unwind information says so */
	UnwindNoInfo,	 /* code without unwind information, and no frame pointer either */
	UnwindBadInfo,
	UnwindNoMemory,	 /* a part of the stack cannot be read */
	UnwindStuck,	 /* the caller would be the same frame */
};

enum unwind_simple { SimpleUnknown, SimpleRules, SimpleOutermost, SimpleNoInfo };
/* The common kind of frame. */
struct unwind_rule {
	uint8_t kind; /* enum unwind_simple */
	uint8_t cfa_reg;
	int32_t cfa_off;
	int16_t saved[UNWIND_SAVED]; /* in words from the CFA; 0: not saved */
};

struct unwind {
	struct unwind_space *space;
	uint64_t reg[UNWIND_REGS]; /* by DWARF's numbers; UNWIND_PC is the place in this frame */
	bool exact; /* the instruction at the pc has not run (the innermost frame, or one that a signal interrupted);
		     * otherwise the pc is a return address */
	bool at_site;	   /* at a system call that preloom took over */
	bool signal_frame; /* what was stepped out of last was a signal frame */
	uint8_t end;	   /* enum unwind_end */
	uint32_t frames;   /* stepped out of */
	struct unwind_rule rule; /* of this frame, if it was in the cache */
};

/* regs by DWARF's numbers. Places in trampolines become the place of their system call. */
void unwind_start(struct unwind *u, struct unwind_space *s, const uint64_t reg[UNWIND_REGS], bool exact);
bool unwind_step(struct unwind *u);

/* An address within the instruction that runs in this frame: what to look symbols up by. */
static inline uintptr_t unwind_pc(const struct unwind *u)
{
	return u->exact ? u->reg[UNWIND_PC] : u->reg[UNWIND_PC] - 1;
}

/* Up to n addresses as by unwind_pc, innermost first; returns how many. */
uint32_t unwind_trace(struct unwind *u, uintptr_t *pc, uint32_t n);

/* Binary search in a table sorted by lo. */
bool unwind_find_in(const struct unwind_object *v, uint32_t n, uintptr_t pc, struct unwind_object *o);

/* unwind_cache.c: rules that were worked out before, for the common kind of frame. May be shared by all threads of a process
 * and their handlers. Zeroed memory is an empty one. */
#define UNWIND_CACHE 4096
struct unwind_cached {
	_Atomic uint32_t seq; /* odd: being written */
	_Atomic uint32_t generation;
	_Atomic uintptr_t pc;
	_Atomic uint64_t w[3];
};
struct unwind_cache {
	struct unwind_cached v[UNWIND_CACHE];
};
bool unwind_cache_get(struct unwind_space *s, uintptr_t pc, struct unwind_rule *r);
void unwind_cache_put(struct unwind_space *s, uintptr_t pc, uint32_t generation, const struct unwind_rule *r);

/* unwind_cfi.c: the rules for one address, by interpretation. */
enum unwind_how { RuleSame, RuleUndefined, RuleOffset, RuleValOffset, RuleRegister, RuleExpr, RuleValExpr };
struct unwind_cell {
	uint8_t how;
	uint32_t len; /* of the expression */
	int64_t v;    /* offset from the CFA, register, address of the expression */
};
struct unwind_row {
	struct unwind_cell cfa; /* RuleRegister: v is the offset, len the register; RuleExpr */
	struct unwind_cell reg[UNWIND_REGS];
	bool signal_frame;
};
enum unwind_end unwind_row(const struct unwind_space *s, const struct unwind_object *o, uintptr_t pc, struct unwind_row *row);

/* unwind_expr.c: a DWARF expression; with `first` on its stack if that is not NULL. False: not understood, or no memory. */
bool unwind_expr(const struct unwind_space *s, uintptr_t at, uint32_t len, const uint64_t reg[UNWIND_REGS],
		 const uint64_t *first, uint64_t *result);

/* unwind_cursor.c: reads unwind information piece by piece. */
struct unwind_cursor {
	const struct unwind_space *s;
	uintptr_t at, end;
	uintptr_t have;
	uint32_t nhave;
	bool bad; /* something could not be read, or went past the end */
	uint8_t buf[64];
};
void cursor_init(struct unwind_cursor *c, const struct unwind_space *s, uintptr_t at, uintptr_t end);
uint64_t cursor_uint(struct unwind_cursor *c, unsigned bytes);
int64_t cursor_sint(struct unwind_cursor *c, unsigned bytes);
uint64_t cursor_uleb(struct unwind_cursor *c);
int64_t cursor_sleb(struct unwind_cursor *c);
uint64_t cursor_encoded(struct unwind_cursor *c, uint8_t enc);
void cursor_skip(struct unwind_cursor *c, uint64_t n);

#endif
