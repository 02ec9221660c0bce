/* decode.h - what the rewriter asks about an instruction.
 */
#ifndef PRELOOM_DECODE_H
#define PRELOOM_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum insn_kind {
	INSN_PLAIN,
	INSN_JMP,      /* direct, relative */
	INSN_JCC,      /* with a form that has a 32-bit displacement */
	INSN_CALL,     /* direct or indirect */
	INSN_RET,
	INSN_INDIRECT, /* jmp through a register or memory */
	INSN_FIXED,    /* cannot be moved: loop, jrcxz, system calls, traps, endbr64 ... */
};

struct insn {
	uintptr_t addr;
	uint8_t len;
	uint8_t kind;	  /* enum insn_kind */
	uint8_t rip_disp; /* offset of a displacement that is relative to RIP, else 0 */
	uint8_t cc;	  /* INSN_JCC: the condition */
	uintptr_t target; /* INSN_JMP, INSN_JCC */
};

int decode_init(void); /* 0 or -errno */

/* Length of the instruction, 0 if there is none. */
unsigned decode_length(uintptr_t addr, uintptr_t end);

bool decode_insn(uintptr_t addr, uintptr_t end, struct insn *i);

/* What the instruction does to the register that was asked for. */
enum effect {
	EFFECT_NONE,
	EFFECT_CONST, /* becomes *value */
	EFFECT_COPY,  /* becomes the old value of register *value, 32 or 64 bits */
	EFFECT_OTHER,
};
#define DECODE_RAX 0

/* Registers are numbered as in the encoding: rax 0 ... r15 15. */
enum effect decode_effect(uintptr_t addr, uintptr_t end, unsigned reg, uint64_t *value);

#endif
