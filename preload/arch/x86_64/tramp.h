/* tramp.h - writes the trampoline of one site.
 */
#ifndef PRELOOM_TRAMP_H
#define PRELOOM_TRAMP_H

#include <stddef.h>
#include <stdint.h>

#include "../../rewrite.h"
#include "site.h"

#define TRAMP_MAX 128
#define TRAMP_ALIGN 16

/* Writes the trampoline of p at `at`, where it will run, and fills in s. Returns its size, 0 if an operand that is
 * relative to RIP does not reach from there. */
size_t tramp_emit(uintptr_t at, uintptr_t slot, const struct plan *p, struct site *s);

/* Where the copy of the displaced instruction at ip is; 0 if there is none. */
uintptr_t tramp_copy_of(const struct site *s, uintptr_t ip);

/* The reverse, for every instruction of the trampoline: the program's own address that it stands for, and the stack pointer
 * there. */
uintptr_t tramp_original(const struct site *s, uintptr_t ip, uintptr_t *sp);

/* The 5 bytes that replace the start of the span. */
void jump_encode(uint8_t out[JUMP_SIZE], uintptr_t from, uintptr_t to);

#endif
