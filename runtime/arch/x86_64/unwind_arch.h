/* unwind_arch.h - what the unwinder must know of x86-64: DWARF's register numbers, where contexts are saved.
 */
#ifndef PRELOOM_UNWIND_ARCH_H
#define PRELOOM_UNWIND_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#define UNWIND_REGS 17
#define UNWIND_SP 7
#define UNWIND_FP 6
#define UNWIND_PC 16
#define UNWIND_SAVED 6 /* registers that a function preserves, but the stack pointer: see unwind_saved */

extern const uint8_t unwind_saved[UNWIND_SAVED];

struct unwind;
struct unwind_space;
struct kuc;
struct regs;

/* What a signal handler interrupted. */
void unwind_from_kuc(struct unwind *u, struct unwind_space *s, const struct kuc *uc);
/* A G that is switched out, by its saved stack pointer; false: that memory cannot be read. */
bool unwind_from_switch(struct unwind *u, struct unwind_space *s, uintptr_t sp);
/* The program at the system call that it came in by: preloom's own frames are left out. `at` is the address of *r in the
 * process that is looked at. */
void unwind_from_site(struct unwind *u, struct unwind_space *s, const struct regs *r, uintptr_t at);

struct unwind_site;
/* The program's place and stack pointer for a place in the trampoline of a site. */
bool unwind_out_of_tramp(const struct unwind_site *t, uint64_t *pc, uint64_t *sp, bool *exact);

#endif
