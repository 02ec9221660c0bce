/* length.c - lengths of common instructions by table.
 *
 * To know where instructions begin, each function that holds a system call is decoded from its start: ten thousand
 * instructions for libc. Zydis takes more than 100 ns for each, which is the whole time that activation may take. The length
 * alone follows from prefixes, opcode, ModRM and SIB, so tables of two opcode maps answer for nearly all of compiled
 * code; VEX, EVEX, address-size prefixes and rare opcodes are left to Zydis. A test compares every instruction of libc.
 */
#include "length.h"

#include <stdbool.h>

/* What follows the opcode. */
enum {
	N = 0,	    /* nothing */
	M = 1,	    /* ModRM */
	B = 2,	    /* 8-bit immediate */
	Z = 4,	    /* 32-bit immediate, 16 with an operand-size prefix */
	MB = M | B,
	MZ = M | Z,
	V = 8,	    /* 64-bit immediate with REX.W, else as Z */
	G = M | 16, /* group 3: immediate only for /0 and /1 */
	D = 32,	    /* 32-bit displacement, never shorter */
	X = 64,	    /* not here */
	P = 128,    /* prefix */
};

static const uint8_t maps[2][256] = {{
	/* 00 */ M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,
	/* 10 */ M, M, M, M, B, Z, X, X, M, M, M, M, B, Z, X, X,
	/* 20 */ M, M, M, M, B, Z, P, X, M, M, M, M, B, Z, P, X,
	/* 30 */ M, M, M, M, B, Z, P, X, M, M, M, M, B, Z, P, X,
	/* 40 */ X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	/* 50 */ N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
	/* 60 */ X, X, X, M, P, P, P, X, Z, MZ, B, MB, N, N, N, N,
	/* 70 */ B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
	/* 80 */ MB, MZ, X, MB, M, M, M, M, M, M, M, M, M, M, M, X,
	/* 90 */ N, N, N, N, N, N, N, N, N, N, X, N, N, N, N, N,
	/* a0 */ X, X, X, X, N, N, N, N, B, Z, N, N, N, N, N, N,
	/* b0 */ B, B, B, B, B, B, B, B, V, V, V, V, V, V, V, V,
	/* c0 */ MB, MB, X, N, X, X, MB, MZ, X, N, X, X, N, B, X, X,
	/* d0 */ M, M, M, M, X, X, X, N, M, M, M, M, M, M, M, M,
	/* e0 */ B, B, B, B, B, B, B, B, D, D, X, B, N, N, N, N,
	/* f0 */ P, X, P, P, N, N, G, G, N, N, N, N, N, N, M, M,
}, {
	/* 00 */ M, M, M, M, X, N, N, X, N, N, X, N, X, M, X, X,
	/* 10 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 20 */ X, X, X, X, X, X, X, X, M, M, M, M, M, M, M, M,
	/* 30 */ N, N, N, N, X, X, X, X, X, X, X, X, X, X, X, X,
	/* 40 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 50 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 60 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 70 */ MB, MB, MB, MB, M, M, M, N, X, X, X, X, M, M, M, M,
	/* 80 */ D, D, D, D, D, D, D, D, D, D, D, D, D, D, D, D,
	/* 90 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* a0 */ N, N, N, M, MB, M, X, X, N, N, X, M, MB, M, M, M,
	/* b0 */ M, M, M, M, M, M, M, M, M, X, MB, M, M, M, M, M,
	/* c0 */ M, M, MB, M, MB, MB, MB, M, N, N, N, N, N, N, N, N,
	/* d0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* e0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* f0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, X,
}};

/* Bytes of ModRM, SIB and displacement by the value of ModRM; a SIB byte without base has 4 more. */
#define ROWS(row) row, row, row, row, row, row, row, row
static const uint8_t modrm_size[256] = {
#define ROW 1, 1, 1, 1, 2, 5, 1, 1
	ROWS(ROW),
#undef ROW
#define ROW 2, 2, 2, 2, 3, 2, 2, 2
	ROWS(ROW),
#undef ROW
#define ROW 5, 5, 5, 5, 6, 5, 5, 5
	ROWS(ROW),
#undef ROW
#define ROW 1, 1, 1, 1, 1, 1, 1, 1
	ROWS(ROW),
#undef ROW
};

static unsigned operand_size(const uint8_t *modrm)
{
	bool no_base = (modrm[0] & 0xc7) == 4 && (modrm[1] & 7) == 5;

	return modrm_size[modrm[0]] + (no_base ? 4 : 0);
}

/* Lengths are data, not branches, as far as possible: what comes next in code cannot be predicted. */
unsigned length_by_table(uintptr_t addr, uintptr_t end)
{
	const uint8_t *start = (const uint8_t *)addr, *p = start;
	bool narrow = false, rex, wide, escape;
	unsigned n, z, what;

	if (addr >= end || end - addr < 16)
		return 0;
	for (; __builtin_expect(maps[0][*p] & P, 0); p++) {
		narrow |= *p == 0x66;
		if (p - start == 4)
			return 0;
	}
	rex = *p >> 4 == 4;
	wide = rex & *p >> 3;
	p += rex;
	escape = *p == 0x0f;
	p += escape;
	what = maps[escape][*p];
	if (__builtin_expect(what & (X | P) || narrow, 0)) {
		if (escape && (*p == 0x38 || *p == 0x3a))
			what = *p++ == 0x38 ? M : MB;
		else if (what & (X | P) || what & D)
			return 0;
	}
	p++;
	z = narrow && !wide ? 2 : 4;
	n = (unsigned)(p - start);
	if (what == G && (*p >> 3 & 7) < 2)
		n += p[-1] == 0xf6 ? 1 : z;
	n += (what & M) * operand_size(p);
	n += what & B ? 1 : 0;
	n += what & Z ? z : 0;
	n += what & D ? 4 : 0;
	n += what & V ? wide ? 8 : z : 0;
	return n <= 15 ? n : 0;
}
